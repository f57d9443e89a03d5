"""A few requests to a real API server, in plain JSON: what it says to an object, as users would see it.

Standard library only and synchronous, since these tests ask one thing at a time. It must not know our types.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pointsman.api.names import Resource

Json = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    code: int
    body: Json

    @property
    def accepted(self) -> bool:
        return 200 <= self.code < 300

    @property
    def message(self) -> str:
        """The server's own words, as kubectl prints them."""
        return str(self.body.get("message", ""))


class Server:
    """Speaks to the cluster of a kubeconfig, in one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._namespace = namespace
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._host = urllib.parse.urlsplit(cluster["server"]).netloc
        self._context = _context(cluster, user)
        self._connection: http.client.HTTPSConnection | None = None

    def create(self, resource: Resource, manifest: Json, *, dry: bool = False, strict: bool = True) -> Answer:
        """POST. `dry`: nothing is stored. `strict`: an unknown field is refused, as kubectl asks for."""
        query = {"dryRun": "All"} if dry else {}
        if not strict:
            query["fieldValidation"] = "Ignore"
        return self.request("POST", self.path(resource), manifest, query=query)

    def get(self, resource: Resource, name: str, subresource: str = "") -> Answer:
        return self.request("GET", self.path(resource, name, subresource))

    def delete(self, resource: Resource, name: str) -> Answer:
        return self.request("DELETE", self.path(resource, name))

    def apply(
        self, resource: Resource, manifest: Json, manager: str, subresource: str = "", *, force: bool = False
    ) -> Answer:
        """Server-side apply; without `force` a conflict is an answer."""
        path = self.path(resource, manifest["metadata"]["name"], subresource)
        query = {"fieldManager": manager, "force": str(force).lower()}
        return self.request("PATCH", path, manifest, query=query, kind=APPLY)

    def merge(self, resource: Resource, name: str, patch: Json, subresource: str = "") -> Answer:
        return self.request("PATCH", self.path(resource, name, subresource), patch, kind=MERGE)

    def path(self, resource: Resource, name: str = "", subresource: str = "") -> str:
        """The resource's path on the server, in our namespace where it has one."""
        base = f"/apis/{resource.group}" if resource.group else "/api"
        within = f"/namespaces/{self._namespace}" if resource.namespaced else ""
        rest = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{base}/{resource.version}{within}/{resource.plural}{rest}"

    def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: dict[str, str] | None = None,
        kind: str = "application/json",
    ) -> Answer:
        """One request. The connection is kept, and renewed where the server has closed it."""
        if method != "GET":
            path += "?" + urllib.parse.urlencode({"fieldValidation": "Strict", **(query or {})})
        text = None if body is None else json.dumps(body)
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(self._host, context=self._context, timeout=30)
        try:
            self._connection.request(method, path, text, {"Content-Type": kind, "Accept": "application/json"})
            response = self._connection.getresponse()
            return Answer(response.status, json.loads(response.read() or b"{}"))
        except (http.client.HTTPException, ConnectionError):
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _context(cluster: Json, user: Json) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_given(cluster, "certificate-authority"))
    with tempfile.TemporaryDirectory() as folder:  # ssl takes a client's certificate from files alone
        for name in ("client-certificate", "client-key"):
            (Path(folder) / name).write_text(_given(user, name))
        context.load_cert_chain(Path(folder) / "client-certificate", Path(folder) / "client-key")
    return context


def _given(config: Json, name: str) -> str:
    if f"{name}-data" in config:
        return base64.b64decode(config[f"{name}-data"]).decode()
    return Path(config[name]).read_text()
