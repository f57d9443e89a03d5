"""Secrets and prompts out of a document: each replaced by a hash that stands for it.

A recorded World is sent to other people, so nothing in it may be what someone would not show them: values
of environment variables, commands of containers that run others' code, texts of proofs, addresses of proxies.
A revision is named by sealed values too (`revision_fields`), so that a sealed World asks for the same one.
Sealing what is sealed changes nothing.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.api import names

MARK: Final = "sealed:"
PROOF_VARIABLE: Final = "POINTSMAN_PROOF"
TRIAL_DOCUMENT: Final = "trial.json"
"""Key of a ConfigMap with all that a trial asks."""
PROMPT_VARIABLES: Final = "prompt_variables"
"""Where a request has the values of a prompt's variables."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_SEALED = re.compile(r"sealed:[0-9a-f]{12}")
_SEALED_HOST = re.compile(r"[a-z][a-z0-9+.-]*://[0-9a-f]{12}\.sealed(:[0-9]+)?")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#@]*@)?[^/?#:@]+(:[0-9]+)?(?:[/?#].*)?", re.DOTALL)
_QUOTED = re.compile(r"(“|\\u201c)(.*?)(”|\\u201d|\Z)", re.DOTALL)
"""Also as JSON spells it, since termination messages are JSON."""

_OPEN_VARIABLES: Final = frozenset({"HOME", "HF_TOKEN_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"})
"""Variables that hold nothing but paths of ours; so do all that begin with POINTSMAN_, save for the proof."""
ROUTER_CONFIG: Final = "config.json.gz"
"""Key of a router's ConfigMap that holds its configuration."""

_SLOT = re.compile(r"\{\{[A-Za-z_][A-Za-z0-9_]*\}\}")
_SEALED_MESSAGE = re.compile(rf"sealed:[0-9a-f]{{12}}({_SLOT.pattern})*")
_SEALED_SCHEMA = re.compile(r'\{"const":"sealed:[0-9a-f]{12}"\}')
_ASSERTED: Final = frozenset({"exact", "contains", "notContains", "regex", "to"})
_PROOF_TEXTS: Final = frozenset({"message", "prompt", "exact", "contains", "regex"})
SPEECH: Final = frozenset({"message", "note", "divergence", "config_error", "tls_error"})
"""Fields in which conditions, events, containers and routers say something in words."""
_RUN: Final = frozenset({"command", "args"})
"""What a container runs. Who writes a command may write a token into it."""
_OPEN_RUNS: Final = frozenset(
    {names.ENGINE_CONTAINER, names.ROUTER_CONTAINER, names.RESOLVE_CONTAINER, names.TRIAL_CONTAINER}
)
"""Containers that run what we write; an engine's arguments are a spec's `engine.args`, which are open too."""
_OPEN_MAPS: Final = frozenset({"args", "labels", "matchLabels", "nodeSelector", "annotations"})
"""Maps whose keys users choose: a label called `message` says nothing."""


def seal(document: Any) -> Any:
    """A JSON value (a World, a Decision, an object, a spec) without secrets and prompts."""
    if isinstance(document, Mapping):
        return {key: _field(str(key), value) for key, value in document.items() if key != "managedFields"}
    if isinstance(document, list | tuple):
        return [seal(item) for item in document]
    return document


def sealed(text: str) -> str:
    """What stands for a text: the same for the same text."""
    if _SEALED.fullmatch(text):
        return text
    return MARK + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def sealed_variable(name: str, value: str) -> str:
    """What stands for the value of an environment variable."""
    if name == PROOF_VARIABLE:
        return _sealed_proof(value)
    if name in _OPEN_VARIABLES or name.startswith("POINTSMAN_"):
        return value
    if name == "HF_ENDPOINT" or name.upper().endswith("_PROXY"):
        return sealed_address(value)
    return sealed(value)


def sealed_address(address: str) -> str:
    """What stands for an address; scheme and port stay, since network policies follow from them."""
    if _SEALED_HOST.fullmatch(address):
        return address
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        return sealed(address)
    return f"{parts[1].lower()}://{sealed(address).removeprefix(MARK)}.sealed{parts[2] or ''}"


def sealed_words(text: str) -> str:
    """A message without what it quotes from prompts and answers, which stands between “ and ”."""
    return _QUOTED.sub(lambda quoted: quoted[1] + _sealed_quote(quoted) + quoted[3], text)


def _sealed_quote(quoted: re.Match[str]) -> str:
    if quoted[1] == "“":
        return sealed(quoted[2])
    try:
        return sealed(json.loads(f'"{quoted[2]}"'))
    except ValueError:
        return sealed(quoted[2])


def _field(key: str, value: Any) -> Any:
    if key in ("env", "environment"):
        return _variables(value)
    if key in ("webhook", "service") and isinstance(value, Mapping) and isinstance(value.get("url"), str):
        # Webhooks often bear what admits to them in their path.
        return {**seal(value), "url": sealed_address(value["url"])}
    if key == "job" and isinstance(value, Mapping):
        return _ran(value)
    if key in ("containers", "initContainers") and isinstance(value, list | tuple):
        return [_contained(item) for item in value]
    if key == TRIAL_DOCUMENT and isinstance(value, str):
        return _sealed_trial(value)
    if key == PROMPT_VARIABLES and isinstance(value, Mapping):
        return {name: sealed(_spelled(item)) for name, item in value.items()}
    if key == "equivalence" and isinstance(value, Mapping):
        return {name: _alike(str(name), item) for name, item in value.items()}
    if key == "proof" and isinstance(value, list | tuple):
        return _proof(value)
    if key in _PROMPTS and isinstance(value, list | tuple):
        return [_PROMPTS[key](item) if isinstance(item, Mapping) else item for item in value]
    if key == "hf_endpoint" and isinstance(value, str) and value:
        return sealed_address(value)
    if key == ROUTER_CONFIG and isinstance(value, str):
        return _sealed_configuration(value)
    if key in SPEECH and isinstance(value, str):
        return sealed_words(value)
    if key in _OPEN_MAPS and isinstance(value, Mapping):
        return {name: sealed(item) if name == LAST_APPLIED else item for name, item in value.items()}
    return seal(value)


def _contained(container: Any) -> Any:
    if not isinstance(container, Mapping) or container.get("name") in _OPEN_RUNS:
        return seal(container)
    return _ran(container)


def _ran(container: Mapping[str, Any]) -> dict[str, Any]:
    """What runs a user's command, in a pod or as a check's job declares it."""
    return {key: _words(value) if key in _RUN else _field(key, value) for key, value in container.items()}


def _words(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [sealed(word) if isinstance(word, str) else seal(word) for word in value]
    return seal(value)


def _alike(key: str, value: Any) -> Any:
    """The prompts of an equivalence, or the requests that are made of them, and values; its numbers stay."""
    if key == "prompts" and isinstance(value, list | tuple):
        return [sealed_message(item) if isinstance(item, str) else seal(item) for item in value]
    return _field(key, value)


def _sealed_trial(text: str) -> str:
    """What a trial asks, written the one way in which it's made."""
    try:
        document = json.loads(text)
    except ValueError:
        return sealed(text)
    return json.dumps(seal(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _spelled(value: Any) -> str:
    """A variable's value as people write it."""
    return value if isinstance(value, str) else json.dumps(value)


def _variables(value: Any) -> Any:
    """Environment variables: by name, as specs and settings have them, or as a container lists them."""
    if isinstance(value, Mapping):
        texts = all(isinstance(item, str) for item in value.values())
        return {name: sealed_variable(name, item) for name, item in value.items()} if texts else seal(value)
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    return value


def _listed(item: Any) -> Any:
    if isinstance(item, Mapping) and isinstance(item.get("value"), str):
        return {**item, "value": sealed_variable(str(item.get("name", "")), item["value"])}
    return seal(item)


def _sealed_proof(text: str) -> str:
    """The proof as pods have it, written the one way in which it's rendered."""
    try:
        proof = json.loads(text)
    except ValueError:
        return sealed(text)
    return json.dumps(_proof(proof), sort_keys=True, separators=(",", ":"))


def _proof(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: sealed(item) if key in _PROOF_TEXTS and isinstance(item, str) else _proof(item)
            for key, item in value.items()
        }
    return [_proof(item) for item in value] if isinstance(value, list | tuple) else value


def _sealed_configuration(text: str) -> str:
    """A router's configuration without the prompts in it, written the one way in which it's rendered."""
    try:
        document = json.loads(gzip.decompress(base64.b64decode(text)))
    except (ValueError, OSError, EOFError):
        return sealed(text)
    packed = json.dumps(seal(document), sort_keys=True, separators=(",", ":"))
    return base64.b64encode(gzip.compress(packed.encode(), mtime=0)).decode()


def sealed_message(text: str) -> str:
    """What stands for a prompt's message. The variables in it stay: without them it would be no prompt."""
    if _SEALED_MESSAGE.fullmatch(text):
        return text
    return sealed(text) + "".join(dict.fromkeys(_SLOT.findall(text)))


def _said(message: Mapping[str, Any]) -> Any:
    content = message.get("content")
    return {**message, "content": sealed_message(content)} if isinstance(content, str) else seal(message)


def _given(variable: Mapping[str, Any]) -> Any:
    value = variable.get("value")
    return {**variable, "value": sealed(value)} if isinstance(value, str) else dict(variable)


def _asserted(assertion: Mapping[str, Any]) -> Any:
    return {key: _expected(key, value) for key, value in assertion.items()}


def _expected(key: str, value: Any) -> Any:
    if key in _ASSERTED and isinstance(value, str):
        return sealed(value)
    if key == "jsonSchema" and isinstance(value, str):
        return value if _SEALED_SCHEMA.fullmatch(value) else _sealed_schema(value)
    return _asserted(value) if isinstance(value, Mapping) else value


def _sealed_schema(text: str) -> str:
    """A schema for a schema; what is none stays none."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        return sealed(text)
    return f'{{"const":"{sealed(text)}"}}' if isinstance(schema, dict) else sealed(text)


_PROMPTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "messages": _said,
    "variables": _given,
    "assertions": _asserted,
}
"""Lists in which prompts and their tests hold texts."""
