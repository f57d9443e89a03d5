"""Refusals of the request path's settings: those of LLMRouter, and an LLMService's spec.routing.

Numbers out of bounds stand in `test_settings`, which has every one of them.
"""

from __future__ import annotations

from pointsman.api.names import LLMROUTER
from tests.contract.cases import Case

_RESERVED = "must not be a header that holds credentials, frames a message, or belongs to connections"


def _origins(*origins: str, says: str) -> Case:
    return Case("cors", {"allowedOrigins": list(origins)}, says, LLMROUTER)


def _page_header(name: str, says: str) -> Case:
    return Case(
        "cors", {"allowedHeaders": [name]}, f"spec.cors.allowedHeaders[0]: Invalid value: {says}", LLMROUTER
    )


def _session_header(name: str, says: str) -> Case:
    return Case(
        "routing",
        {"stickiness": {"header": name}},
        f"spec.routing.stickiness.header: Invalid value: {says}",
    )


SETTINGS: dict[str, Case] = {
    "a limit nobody knows": Case(
        "limits", {"maxBody": 1}, 'unknown field "spec.limits.maxBody"', LLMROUTER, schema_alone=True
    ),
    "a limit in words": Case(
        "limits",
        {"maxBodyBytes": "64Mi"},
        "spec.limits.maxBodyBytes in body must be of type integer",
        LLMROUTER,
    ),
    "half a second": Case(
        "routing",
        {"timeouts": {"connectSeconds": 0.5}},
        "spec.routing.timeouts.connectSeconds in body must be of type integer",
    ),
    "a body that no buffer holds": Case(
        "limits",
        {"maxBodyBytes": 2048, "maxBufferedBytes": 1024},
        "spec.limits.maxBodyBytes: Invalid value: maxBodyBytes must not exceed maxBufferedBytes",
        LLMROUTER,
    ),
    "an origin with a path": _origins(
        "https://app.example.com/",
        says="spec.cors.allowedOrigins[0]: Invalid value: "
        '"https://app.example.com/": must be an origin as browsers send it',
    ),
    "an origin without its scheme": _origins("app.example.com", says="must be an origin as browsers send it"),
    "an origin that browsers spell in lower case": _origins(
        "https://App.example.com", says="in lower case and without a path; or * for all"
    ),
    "an origin with a star in it": _origins(
        "https://*.example.com", says="must be an origin as browsers send it"
    ),
    "an origin that any sandboxed page has": _origins("null", says="must be an origin as browsers send it"),
    "an origin twice": _origins(
        "https://a.example.com", "https://a.example.com", says="spec.cors.allowedOrigins[1]: Duplicate value"
    ),
    "all origins and one more": _origins(
        "*",
        "https://app.example.com",
        says="spec.cors.allowedOrigins: Invalid value: allowedOrigins must list origins, or hold * alone",
    ),
    "no origin at all": _origins(says="spec.cors.allowedOrigins in body should have at least 1 items"),
    "cookies for all the web": Case(
        "cors",
        {"allowedOrigins": ["*"], "allowCredentials": True},
        "spec.cors.allowCredentials: Invalid value: allowCredentials must not be true for the origin *: list "
        "the origins",
        LLMROUTER,
    ),
    "a page's header with a blank": _page_header("X Tenant", '"X Tenant": must be a header\'s name'),
    "all of a page's headers": _page_header("*", '"*": must be a header\'s name'),
    "a page that says whom it speaks for": _page_header("X-Forwarded-For", f'"X-Forwarded-For": {_RESERVED}'),
    "a page that frames its message": _page_header("transfer-encoding", f'"transfer-encoding": {_RESERVED}'),
    "sessions named by credentials": _session_header("Authorization", f'"Authorization": {_RESERVED}'),
    "sessions named by a key": _session_header("X-API-Key", f'"X-API-Key": {_RESERVED}'),
    "sessions named by cookies": _session_header("cookie", f'"cookie": {_RESERVED}'),
    "sessions named by what a proxy adds": _session_header("x-real-ip", f'"x-real-ip": {_RESERVED}'),
    "sessions named by a header of ours": _session_header(
        "X-Pointsman-Session", f'"X-Pointsman-Session": {_RESERVED}'
    ),
    "sessions named by no header": Case(
        "routing", {"stickiness": {"header": ""}}, "stickiness.header in body should be at least 1 chars long"
    ),
    "sessions named by more than a header": _session_header(
        "X-Session:", '"X-Session:": must be a header\'s'
    ),
    "a trusted proxy without its range": Case(
        "trustedProxies",
        ["10.0.0.1"],
        "spec.trustedProxies: Invalid value: trustedProxies must hold ranges of addresses such as 10.0.0.0/8",
        LLMROUTER,
    ),
    "a trusted proxy by name": Case(
        "trustedProxies",
        ["10.0.0.0/8", "proxy.example.com"],
        "trustedProxies must hold ranges of addresses",
        LLMROUTER,
    ),
    "a certificate in no Secret": Case(
        "tls", {"secretRef": {}}, "spec.tls.secretRef.name: Required value", LLMROUTER
    ),
    "a certificate in a Secret of an impossible name": Case(
        "tls",
        {"secretRef": {"name": "My Certificate"}},
        'spec.tls.secretRef.name: Invalid value: "My Certificate": must be an object\'s name',
        LLMROUTER,
    ),
    "a certificate by its files": Case(
        "tls",
        {"certFile": "/tls.crt"},
        'unknown field "spec.tls.certFile"',
        LLMROUTER,
        schema_alone=True,
    ),
    "a way to pick that nobody knows": Case(
        "routing",
        {"picking": {"policy": "Random"}},
        'spec.routing.picking.policy: Unsupported value: "Random": supported values: "PrefixAffinity"',
    ),
    "an engine out for longer than the longest": Case(
        "routing",
        {"ejection": {"seconds": 60, "maxSeconds": 30}},
        "spec.routing.ejection.seconds: Invalid value: ejection.seconds must not exceed ejection.maxSeconds",
    ),
}
