"""Asks a gate, which is somebody's own service: may this step of a rollout go on?

Near to the webhooks of Flagger, so that one service can answer both: a POST of JSON with name, namespace,
phase and metadata at its top, whatever else the step has beside them. Unlike there, a 2xx alone is no yes
unless the gate is declared so: a page of some proxy says 200, too. And a 5xx is neither yes nor no: a gate
in trouble has no opinion.
"""

from __future__ import annotations

from pointsman_trial.asking import LATER, Asker, Reply
from pointsman_trial.bounded import shorten
from pointsman_trial.document import Accept, Gate
from pointsman_trial.result import GateResult

MESSAGE_CHARS = 300
TROUBLED = LATER | frozenset(range(500, 600))
"""Statuses by which a gate says neither yes nor no."""


def run(gate: Gate, asker: Asker) -> GateResult:
    """What it says. Raises CannotJudge where it doesn't answer, or not in a way that can be read."""
    reply = asker.post(
        gate.service.url,
        gate.step,
        what=f"gate {gate.name!r}",
        later=TROUBLED,
        token_file=gate.service.token_file,
        outside=True,
    )
    if not 200 <= reply.status < 300:
        return GateResult(gate.name, False, _said(f"answered by {reply.status}: {reply.message()}"))
    if gate.accept is Accept.STATUS:
        return GateResult(gate.name, True, _said(reply.message()))
    return _verdict(gate, reply)


def _verdict(gate: Gate, reply: Reply) -> GateResult:
    value = reply.json()
    if not isinstance(value, dict) or not isinstance(value.get("pass"), bool):
        said = 'answered without {"pass": true} or {"pass": false}, which is no yes: '
        return GateResult(gate.name, False, _said(said + reply.body[:1000].decode("utf-8", "replace")))
    return GateResult(gate.name, value["pass"], _said(str(value.get("message", ""))))


def _said(text: str) -> str:
    return shorten(text, MESSAGE_CHARS)
