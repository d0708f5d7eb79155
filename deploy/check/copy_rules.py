#!/usr/bin/env python3
"""Writes deploy/prometheus/rules.yml into the PrometheusRule of k8s/components/monitoring (`make rules`)."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = """\
# Written by `make rules` from deploy/prometheus/rules.yml; `make ops` refuses a difference.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: hobnob
spec:
"""

rules = (ROOT / "deploy/prometheus/rules.yml").read_text().splitlines()
body = [f"  {line}" if line else line for line in rules[rules.index("groups:") :]]
target = ROOT / "k8s/components/monitoring/prometheus-rule.yaml"
target.write_text(HEAD + "\n".join(body) + "\n")
