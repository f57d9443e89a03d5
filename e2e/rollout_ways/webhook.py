"""Somebody's own service that rollouts ask whether they may go on: it says yes, and why."""

from __future__ import annotations

from typing import Any

from e2e.namespace import Manifest

NAME = "calendar"
PORT = 8080
URL = f"http://{NAME}:{PORT}/may-go-on"
PROGRAM = f"""
import json
from http.server import BaseHTTPRequestHandler, HTTPServer

class Calendar(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        candidate = asked["rollout"]["candidate"]["variant"]
        body = json.dumps({{"pass": True, "message": f"{{candidate}} may go on"}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("", {PORT}), Calendar).serve_forever()
"""
LABELS = {"app": NAME}


def manifests(image: str) -> tuple[Manifest, ...]:
    """A pod of any image that has Python in it, and its Service."""
    container: dict[str, Any] = {
        "name": NAME,
        "image": image,
        "command": ["python3", "-c", PROGRAM],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"selector": LABELS, "ports": [{"port": PORT}]},
    }
    return pod, service
