"""What happens to a request between its last byte and the choice of an engine.

Pure: a request and the table in, a service and the bytes to send out, or a refusal. Whose key a
request bears is known by then; which models that key may use is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from pointsman_router import errors
from pointsman_router.answering import feedback, modelname
from pointsman_router.answering.feedback import Report
from pointsman_router.clients.keys import KeyState
from pointsman_router.clients.request import Request
from pointsman_router.errors import RefusedError
from pointsman_router.picking.prompts import Said
from pointsman_router.picking.wishes import Wish
from pointsman_router.rendering.renderer import VARIABLES, Renderer
from pointsman_router.routes import MODEL_PREFIX, ModelIn, Prompted, Route
from pointsman_router.table import ServiceState, Table


@dataclass(slots=True)
class Prepared:
    """What the stages made of a request."""

    service: ServiceState | None
    """Whose engines are to answer; None where `body` is the answer itself."""
    body: bytes
    """What the engine gets."""
    stream: bool = False
    """Whether the client asked for a stream of events."""
    wish: Wish | None = None
    """By what its engine is chosen; None where the choice is free."""
    draw: float = 0.0
    """In [0, 1): which variant it belongs to, where several have weight."""
    document: Mapping[str, Any] | None = None
    """What the body says, where a variant's prompt may have to go into it, or it speaks of one."""
    report: Report | None = None
    """What was reported of an earlier answer."""


def prepare(request: Request, table: Table, only: str = "") -> Prepared:
    """Takes a whole request through the stages. Raises RefusedError. `only`: the variant it's to stay in."""
    route = request.route
    if request.problem is not None or route is None:
        raise RefusedError(request.problem or errors.internal_error())
    if request.encoding and request.encoding.lower() != b"identity":
        raise RefusedError(errors.encoded_body(request.encoding.decode("latin-1")))
    match route.model_in:
        case ModelIn.JSON:
            return _from_json(request, route, table, only)
        case ModelIn.FORM:
            return _from_form(request, table, only)
        case ModelIn.ANSWER:
            report, told = feedback.read(request, table)
            return Prepared(None, told, report=report)
        case ModelIn.LIST:
            return Prepared(None, table.model_list if request.key is None else request.key.model_list)
        case ModelIn.PATH:
            return Prepared(None, _model(request, table))


def _from_json(request: Request, route: Route, table: Table, only: str) -> Prepared:
    body = request.body
    document = modelname.read_json(body, table.limits)
    if route.stored and document.get("previous_response_id") is not None:
        raise RefusedError(errors.stored_response())
    model = modelname.in_json(document)
    service = _service(model, request.key, table)
    if model != service.engine_model and model not in service.adapters:
        body = modelname.replace_in_json(body, service.engine_model)
        document["model"] = service.engine_model
    sessions, wishes = service.sessions, service.wishes
    session = 0 if sessions is None else sessions.read(request, document)
    said = Said(document)
    draw = 0.0 if service.assigner is None or only else service.assigner.draw(session, said)
    wish = None if wishes is None else wishes.read(said, model, route.prompt, session)
    kept = document if service.prompted or VARIABLES in document else None
    return Prepared(service, body, route.streams and document.get("stream") is True, wish, draw, kept)


def _from_form(request: Request, table: Table, only: str) -> Prepared:
    body = request.body
    model, (start, end) = modelname.in_form(body, request.content_type)
    service = _service(model, request.key, table)
    if model != service.engine_model and model not in service.adapters:
        body = body[:start] + service.engine_model.encode() + body[end:]
    kept: Mapping[str, Any] | None = {} if service.prompted else None
    if service.assigner is None or only:
        return Prepared(service, body, document=kept)
    session = 0 if service.sessions is None else service.sessions.read(request, {})
    return Prepared(service, body, draw=service.assigner.draw(session, Said({})), document=kept)


def rendered(
    body: bytes,
    document: Mapping[str, Any],
    route: Route,
    renderer: Renderer | None,
    probe: bool,
    override: frozenset[str],
) -> bytes:
    """The body as the engine of a variant gets it. Raises RefusedError.

    `document` is what the body says. A variant without a prompt can't fill values into one, and one with a
    prompt answers nothing else than by it.
    """
    if renderer is None:
        if VARIABLES in document:
            raise RefusedError(errors.no_prompt(VARIABLES))
        return body
    match route.prompted:
        case Prompted.FIRST:
            return renderer.render(document, probe=probe, override=override)
        case Prompted.ALIKE:
            return body
        case Prompted.REFUSED:
            raise RefusedError(errors.prompt_does_not_apply(route.label))


def _service(model: str, key: KeyState | None, table: Table) -> ServiceState:
    service = table.models.get(model)
    if service is None or not (key is None or key.may_use(model)):
        raise RefusedError(errors.unknown_model(model))
    return service


def _model(request: Request, table: Table) -> bytes:
    name = unquote_to_bytes(request.path[len(MODEL_PREFIX) :]).decode("utf-8", "replace")
    body = table.model_bodies.get(name)
    if body is None or not (request.key is None or request.key.may_use(name)):
        raise RefusedError(errors.unknown_model(name))
    return body
