#!/usr/bin/env python3
"""Renders every overlay and component of k8s/ and holds the objects against Kubernetes' own schemas.

    kubernetes.py DIR    leaves one file per rendering in DIR, for the checks that come after

Built-in kinds are validated strictly (an unknown field is an error) for each version below; custom kinds are left to
crds/check.mjs, which is told of them by DIR/custom.json. Refuses a kind that neither knows, so nothing goes unseen.
What this project promises of its own objects (no token, no emptyDir, grace longer than drain …) is asserted here too.
"""

import copy
import functools
import ipaddress
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml
from kubernetes_validate import utils

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEWEST = utils.major_minor(utils.latest_version())
# The oldest supported, the one most clusters run, the newest there is a schema for.
VERSIONS = ["1.30", "1.32", NEWEST]
CUSTOM_GROUPS = ("monitoring.coreos.com", "gateway.networking.k8s.io", "keda.sh", "external-secrets.io")
# The most addresses, by IP version, that an ingress controller's own pods may have; a cluster's are more.
WIDEST = {4: 2**12, 6: 2**64}

# Each of a thousand validations would read a megabyte of definitions again.
utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)


def main(target):
    target.mkdir(parents=True, exist_ok=True)
    custom, faults, count = [], [], 0
    for name, objects in renderings():
        (target / f"{name}.yaml").write_text(yaml.safe_dump_all(objects, sort_keys=False))
        for found in objects:
            where = f"{name}: {found['kind']}/{found['metadata']['name']}"
            if found["apiVersion"].split("/")[0] in CUSTOM_GROUPS:
                custom.append({"where": where, "object": found})
                continue
            count += 1
            faults += [f"{where}: {fault}" for fault in schema_faults(found)]
            faults += [f"{where}: {fault}" for fault in promise_faults(found)]
        faults += [f"{name}: {fault}" for fault in set_faults(objects)]
        if name.startswith("overlay-"):
            faults += [f"{name}: {fault}" for fault in overlay_faults(name.removeprefix("overlay-"), objects)]
    faults += control_faults()
    faults += copied_rules_faults()
    (target / "custom.json").write_text(json.dumps(custom))
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"kubernetes: {count} objects against {', '.join(VERSIONS)}, {len(custom)} custom ones noted")
    sys.exit(1 if faults else 0)


def renderings():
    """Every overlay, the jobs that are applied by hand, and every component over the bare base."""
    for job in ("load-test", "restore"):
        yield job, render(ROOT / "k8s" / job)
    for overlay in sorted((ROOT / "k8s/overlays").iterdir()):
        yield f"overlay-{overlay.name}", render(overlay)
    with tempfile.TemporaryDirectory() as scratch:
        # A component cannot be built by itself, and a kustomization may not point at an absolute path.
        for part in ("k8s", "deploy/grafana"):
            shutil.copytree(ROOT / part, pathlib.Path(scratch, part))
        for component in sorted((ROOT / "k8s/components").iterdir()):
            wrapper = pathlib.Path(scratch, "k8s/alone", component.name)
            wrapper.mkdir(parents=True)
            kustomization = {
                "namespace": "hobnob",
                "resources": ["../../base"],
                "components": [f"../../components/{component.name}"],
            }
            (wrapper / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
            yield f"component-{component.name}", render(wrapper)


def render(folder):
    built = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    # Kustomize warns of deprecated fields and goes on; here that is a fault as well.
    if built.returncode != 0 or built.stderr:
        sys.exit(f"{folder.name} cannot be rendered: {built.stderr}")
    return [found for found in yaml.safe_load_all(built.stdout) if found]


def schema_faults(found):
    for version in VERSIONS:
        try:
            used = kubernetes_validate.validate(found, version, strict=True)
            if used != version:
                yield f"checked against {used} instead of {version}"
        except kubernetes_validate.ValidationError as error:
            yield f"{version}: {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield error.message


def pod_of(found):
    spec = found.get("spec") or {}
    if found["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return (spec.get("template") or {}).get("spec")


def promise_faults(found):
    """What the comments in k8s/ promise of each workload."""
    pod = pod_of(found)
    if pod is None:
        return
    if found["metadata"].get("annotations", {}).get("argocd.argoproj.io/hook") == "PreSync":
        yield "waits for what Argo CD applies after it"
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a token"
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "is not restricted as a pod"
    for container in pod["containers"] + pod.get("initContainers", []):
        limits = container.get("securityContext", {})
        restricted = (
            limits.get("allowPrivilegeEscalation") is False
            and limits.get("readOnlyRootFilesystem") is True
            and limits.get("capabilities", {}).get("drop") == ["ALL"]
        )
        if not restricted:
            yield f"container {container['name']} is not restricted"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"container {container['name']} has no memory limit"
    if found["metadata"]["name"] == "hobnob":
        yield from gateway_faults(found, pod)


def gateway_faults(found, pod):
    if found["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
        yield "a rollout may take gateways away first"
    if any("emptyDir" in volume for volume in pod.get("volumes", [])):
        yield "has an emptyDir"
    (container,) = pod["containers"]
    probes = [container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    if [(probe["path"], probe["port"]) for probe in probes] != [("/livez", "admin")] * 2 + [("/readyz", "admin")]:
        yield "is probed elsewhere than on the admin port"


def set_faults(objects):
    """What concerns several objects of one rendering."""
    by_name = {(found["kind"], found["metadata"]["name"]): found for found in objects}
    deployment = by_name.get(("Deployment", "hobnob"))
    if deployment is None:
        return
    pod = pod_of(deployment)
    (container,) = pod["containers"]
    settings = by_name[("ConfigMap", container["envFrom"][0]["configMapRef"]["name"])]["data"]
    drain = int(re.fullmatch(r"(\d+)s", settings["HOBNOB_DRAIN_GRACE"]).group(1))
    pre_stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # A second each for a drain that is just finishing and for requests in flight (lifecycle's LAST_CALL, twice), and for
    # blocking work (main's FAREWELL).
    if pod["terminationGracePeriodSeconds"] < pre_stop + drain + 3:
        yield "Kubernetes kills before the drain is over"
    trusted = [ipaddress.ip_network(text) for text in settings["HOBNOB_TRUSTED_PROXIES"].split(",") if text]
    if any(network.num_addresses > WIDEST[network.version] for network in trusted):
        yield "believes more addresses than an ingress has: any pod could claim to be any client"
    for found in objects:
        if found["kind"] == "ScaledObject":
            asked = [trigger["metadata"] for trigger in found["spec"]["triggers"] if trigger["type"] == "prometheus"]
            if any(trigger.get("ignoreNullValues") != "false" for trigger in asked):
                yield "KEDA takes missing series for no clients"
    scalers = [kind for kind, _ in by_name if kind in ("HorizontalPodAutoscaler", "ScaledObject")]
    if len(scalers) != 1:
        yield f"the gateways are scaled by {scalers or 'nobody'}"


def overlay_faults(overlay, objects):
    """An overlay takes its own secrets out of the store, nobody else's, and names the proxies before it if it has some."""
    (trusted,) = [found["data"]["HOBNOB_TRUSTED_PROXIES"] for found in objects if is_settings(found)]
    if bool(trusted) != any(found["kind"] in ("Ingress", "HTTPRoute") for found in objects):
        yield f"HOBNOB_TRUSTED_PROXIES is {trusted!r}, which does not go with how clients come in"
    for found in objects:
        if found["kind"] == "ExternalSecret":
            for entry in found["spec"]["data"]:
                if entry["remoteRef"]["key"] != f"hobnob/{overlay}":
                    yield f"takes {entry['secretKey']} from {entry['remoteRef']['key']}"


def is_settings(found):
    return found["kind"] == "ConfigMap" and "HOBNOB_TRUSTED_PROXIES" in found["data"]


def control_faults():
    """That the validation can fail at all: each of these must be refused."""
    good = next(found for found in render(ROOT / "k8s/base") if found["kind"] == "Deployment")
    unknown, wrong, newer = copy.deepcopy(good), copy.deepcopy(good), copy.deepcopy(good)
    unknown["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    wrong["spec"]["replicas"] = "three"
    newer["kind"] = "Deploiment"
    for what, bad in (("an unknown field", unknown), ("a wrong type", wrong), ("an unknown kind", newer)):
        if len(list(schema_faults(bad))) != len(VERSIONS):
            yield f"control: {what} was not refused for each version"
    pod_of(unknown)["containers"][0]["securityContext"] = {}
    if not list(promise_faults(unknown)):
        yield "control: an unrestricted container was not refused"


def copied_rules_faults():
    """The rules of the operator's Prometheus are those of deploy/prometheus."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
    copied = yaml.safe_load((ROOT / "k8s/components/monitoring/prometheus-rule.yaml").read_text())
    if copied["spec"] != rules:
        yield "k8s/components/monitoring/prometheus-rule.yaml differs from deploy/prometheus/rules.yml: make rules"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
