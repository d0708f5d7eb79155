#!/usr/bin/env python3
"""That alerts and dashboards speak of metrics that exist, and that each alert is tested and explained.

docs/metrics.md is the list of metrics (tests/metrics holds it against a live gateway). Every name in an expression of
deploy/prometheus/rules.yml, of the dashboards and of KEDA's trigger must be in it, with the labels and, where the list
has them, the label values. Every expression must parse: promtool is given those of the dashboards as rules.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/rules.yml"
# Made by Prometheus itself when it scrapes.
MADE_BY_PROMETHEUS = {"up": {}}
# Given by the scrape configuration to every series.
TARGET_LABELS = {"job", "instance", "namespace", "pod"}
KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "counter": ("",)}
# What Grafana puts in their place.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$namespace": ".*", "$instance": "a"}


def main():
    known = {**documented((ROOT / "docs/metrics.md").read_text()), **MADE_BY_PROMETHEUS}
    expressions = list(all_expressions())
    faults = [f"{where}: {fault}" for where, text in expressions for fault in name_faults(text, known)]
    faults += parse_faults([(where, text) for where, text in expressions if "dashboards" in where])
    faults += alert_faults()
    faults += control_faults(known)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"metrics: {len(expressions)} expressions over {len(known)} documented series")
    sys.exit(1 if faults else 0)


def documented(text):
    """The rows of the tables: each series a query may name, with its labels and their values, if those are listed."""
    series = {}
    for row in re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) \| .* \|$", text, re.MULTILINE):
        name, kind, cell = row
        labels = {}
        for part in filter(None, cell.split(";")):
            label, *values = re.findall(r"`([^`]+)`", part)
            labels[label] = set(values)
        for suffix in SUFFIXES[kind]:
            series[name + suffix] = {**labels, "le": set()} if suffix == "_bucket" else labels
    if len(series) < 20:
        sys.exit("docs/metrics.md is not understood: hardly any metric in it")
    return series


def all_expressions():
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield f"rules.yml: {rule['alert']}", rule["expr"]
    for file in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        for where, text in dashboard_expressions(json.loads(file.read_text())):
            yield f"dashboards/{file.name}: {where}", text
    scaled = yaml.safe_load((ROOT / "k8s/components/keda/scaled-object.yaml").read_text())
    for trigger in scaled["spec"]["triggers"]:
        if trigger["type"] == "prometheus":
            yield "keda", trigger["metadata"]["query"]
    scaler = yaml.safe_load((ROOT / "k8s/base/autoscaler.yaml").read_text())
    for metric in scaler["spec"]["metrics"]:
        if metric["type"] == "Pods":
            yield "autoscaler", metric["pods"]["metric"]["name"]


def dashboard_expressions(dashboard, variables=None):
    """Each panel's expressions and each variable's, with values for Grafana's variables."""
    found = 0
    values = {**VARIABLES, **(variables or {})}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            found += 1
            yield panel["title"], with_values(target["expr"], values)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            series = re.sub(r"^label_values\((.*), \w+\)$", r"\1", variable["query"])
            yield variable["name"], with_values(series, values)
    if found == 0:
        sys.exit(f"no expression in dashboard {dashboard['title']}")


def with_values(text, values):
    for variable, value in values.items():
        text = text.replace(variable, value)
    return text


def selectors(text):
    """Each metric that an expression names, with its label matchers as (label, operator, value)."""
    text = re.sub(r"\[[^\]]*\]", "", text)
    groupings = "|".join(GROUPINGS)
    text = re.sub(rf"\b({groupings})\s*\([^)]*\)", " ", text)
    for name, matchers in re.findall(r"(?<![\w\"=~.])([a-zA-Z_:][\w:]*)(?!\s*\()(?!\w)\s*(\{[^}]*\})?", outside_strings(text)):
        if name not in KEYWORDS:
            yield name, re.findall(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"", matchers)


def outside_strings(text):
    """Leaves strings inside braces alone and empties the others: label_replace's, for example."""
    return re.sub(r"(\{[^}]*\})|\"[^\"]*\"", lambda found: found.group(1) or '""', text)


def name_faults(text, known):
    names = list(selectors(text))
    if not names:
        yield f"names no metric: {text}"
    for name, matchers in names:
        if name not in known:
            yield f"{name} is not in docs/metrics.md"
            continue
        for label, operator, value in matchers:
            values = known[name].get(label)
            if label not in TARGET_LABELS and values is None:
                yield f"{name} has no label {label}"
            elif values and operator in ("=", "!=") and value not in values:
                yield f"{name} is never labelled {label}={value}"
            elif values and operator in ("=~", "!~") and not any(re.fullmatch(value, one) for one in values):
                yield f"{name} is never labelled {label}=~{value}"


def parse_faults(expressions):
    rules = [{"record": f"check:{index}", "expr": text} for index, (_, text) in enumerate(expressions)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
        file.flush()
        checked = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        yield f"dashboards: {checked.stdout}{checked.stderr}"


def alert_faults():
    """Each alert has a case in which it fires, one in which it does not, and an entry in the runbook."""
    tests = yaml.safe_load((RULES.parent / "rules.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    runbook = (ROOT / "docs/runbook.md").read_text()
    names = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    for name in names:
        own = [bool(case["exp_alerts"]) for case in cases if case["alertname"] == name]
        if set(own) != {True, False}:
            yield f"{name} lacks a firing or a quiet case in rules.test.yml"
        if f"\n## {name}\n" not in runbook:
            yield f"{name} is not in docs/runbook.md"
    for name in re.findall(r"^## (Hobnob\w+)$", runbook, re.MULTILINE):
        if name not in names:
            yield f"docs/runbook.md explains {name}, which is no alert"


def control_faults(known):
    """That the check can fail."""
    wrong = {
        "rate(hobnob_no_such_thing_total[5m]) > 0": "a wrong name",
        'hobnob_ready{colour="red"}': "a wrong label",
        'hobnob_sessions{protocol="carrier pigeon"}': "a wrong value",
        "vector(1)": "no metric",
    }
    for text, what in wrong.items():
        if not list(name_faults(text, known)):
            yield f"control: {what} was not noticed"


if __name__ == "__main__":
    main()
