#!/usr/bin/env python3
"""The HAProxy rules in the annotation of k8s/components/haproxy-ingress, as a configuration that HAProxy can check.

They must be those of deploy/haproxy/haproxy.cfg, where tests run them.
"""

import pathlib
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
service = yaml.safe_load((ROOT / "k8s/components/haproxy-ingress/service.yaml").read_text())
snippet = service["metadata"]["annotations"]["haproxy.org/backend-config-snippet"].splitlines()
shipped = (ROOT / "deploy/haproxy/haproxy.cfg").read_text()
learnt = [line for line in snippet if line.startswith("stick")]
if len(learnt) != 3 or any(line.split(" if ")[0] not in shipped for line in learnt):
    sys.exit("ingress_snippet: the rules differ from those of deploy/haproxy/haproxy.cfg")
print("defaults\n    mode http\n    timeout client 1s\n    timeout server 1s\n    timeout connect 1s")
print("frontend clients\n    bind 127.0.0.1:8080\n    default_backend gateways")
print("backend gateways", *snippet, "server one 127.0.0.1:3001", "server two 127.0.0.1:3002", sep="\n    ")
