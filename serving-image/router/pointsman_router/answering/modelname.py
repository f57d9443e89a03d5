"""Finds the model's name in a request's body, and replaces it there.

Bodies go to engines as they came, byte for byte: re-serialising would change numbers, member order and
escapes that only the engine may judge. So a name that has to be rewritten is replaced in place. Knows JSON
and multipart forms; nothing of services or connections.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from pointsman_router import errors, refusals
from pointsman_router.answering.jsonbounds import (
    MOST_VALUES,
    deeper_than,
    has_number_beyond,
    has_too_many_values,
)
from pointsman_router.errors import RefusedError
from pointsman_router.settings import Limits

_KEY = b'"model"'
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_BOUNDARY = re.compile(
    rb';[ \t]*boundary=(?:"([^"\\\r\n]{1,70})"|([^ \t;,"\r\n]{1,70}))[ \t]*(?:;|$)', re.IGNORECASE
)
_DISPOSITION = re.compile(rb"(?:^|\r\n)content-disposition:[ \t]*form-data((?:[^\r\n])*)", re.IGNORECASE)
_PARAMETER = re.compile(rb';[ \t]*([^ \t=;"]+)=("(?:[^"\\\r\n]|\\.)*"|[^ \t;"\r\n]*)[ \t]*')


def read_json(body: bytes, limits: Limits) -> dict[str, Any]:
    """The JSON object in a body. Raises RefusedError if it isn't one, or isn't within the limits."""
    if has_too_many_values(body):
        raise RefusedError(errors.bad_body(f"The request body holds more than {MOST_VALUES} values"))
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(errors.bad_body(f"The request body is not valid JSON: {error}")) from None
    if type(document) is not dict:
        raise RefusedError(errors.bad_body("The request body must be a JSON object"))
    if deeper_than(body, document, limits.max_json_depth):
        raise RefusedError(refusals.too_deep(limits))
    if has_number_beyond(body, limits.max_number_digits):
        raise RefusedError(refusals.too_many_digits(limits))
    return document


def in_json(document: dict[str, Any]) -> str:
    """The model a JSON request names. Raises RefusedError if it names none."""
    model = document.get("model")
    if type(model) is not str:
        if model is not None:
            raise RefusedError(errors.ill_typed_model())
        raise RefusedError(errors.missing_model())
    if not model:
        raise RefusedError(errors.missing_model())
    return model


def replace_in_json(body: bytes, model: str) -> bytes:
    """The same bytes with the value of the object's own `model` member replaced.

    `body` must have passed `read_json` and `in_json`.
    """
    replacement = orjson.dumps(model)
    for start, end in reversed(list(_json_spans(body))):
        body = body[:start] + replacement + body[end:]
    return body


def _json_spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of top-level `model` members stand (more than one if the member is repeated)."""
    first = body.find(_KEY)
    if first >= 0 and body.find(_KEY, first + 1) < 0 and b"\\u" not in body:
        # The member is known to exist, and this is the only place that spells it.
        yield from _string_value(body, first + len(_KEY))
        return
    depth = 0
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
        elif depth == 1 and (mark == _KEY or (b"\\" in mark and orjson.loads(mark) == "model")):
            yield from _string_value(body, token.end())


def _string_value(body: bytes, after_key: int) -> Iterator[tuple[int, int]]:
    colon = _COLON.match(body, after_key)
    if colon is None:
        return  # a value that happens to read "model", not a member's name
    value = _TOKEN.match(body, colon.end())
    if value is not None and value[0][:1] == b'"':
        yield value.span()


def in_form(body: bytes, content_type: bytes) -> tuple[str, tuple[int, int]]:
    """The model a multipart form names, and where its value stands. Raises RefusedError.

    A form that names it twice is refused: the engine might read the other one.
    """
    found: list[tuple[int, int]] = []
    for name, start, end in _parts(body, content_type):
        if name == b"model":
            found.append((start, end))
    if not found:
        raise RefusedError(errors.missing_model())
    if len(found) > 1:
        raise RefusedError(errors.bad_body("The form has more than one field `model`"))
    start, end = found[0]
    try:
        model = body[start:end].decode()
    except UnicodeDecodeError:
        raise RefusedError(errors.bad_body("The form's field `model` is not UTF-8")) from None
    if not model:
        raise RefusedError(errors.missing_model())
    return model, (start, end)


def _parts(body: bytes, content_type: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each part's content. Raises RefusedError where the form is malformed."""
    boundary = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith(b"multipart/form-data") or boundary is None:
        raise RefusedError(errors.bad_body("The request body must be multipart/form-data with a boundary"))
    delimiter = b"\r\n--" + (boundary[1] or boundary[2])
    # The first delimiter may stand at the very start, without its line break.
    at = 0 if body.startswith(delimiter[2:]) else body.find(delimiter) + 2
    if at == 1:
        raise _malformed_form()
    at += len(delimiter) - 2
    while body[at : at + 2] != b"--":
        head_end = body.find(b"\r\n\r\n", at)
        end = body.find(delimiter, at)
        if body[at : at + 2] != b"\r\n" or head_end < 0 or head_end + 4 > end:
            raise _malformed_form()
        yield _part_name(body[at:head_end]), head_end + 4, end
        at = end + len(delimiter)


def _part_name(head: bytes) -> bytes:
    dispositions = _DISPOSITION.findall(head)
    if len(dispositions) != 1:
        raise _malformed_form()
    rest, at, names = dispositions[0], 0, []
    while parameter := _PARAMETER.match(rest, at):
        if parameter[1].lower() == b"name":
            names.append(parameter[2].strip(b'"'))
        at = parameter.end()
    if at != len(rest.rstrip()) or len(names) != 1:
        raise _malformed_form()
    return bytes(names[0])


def _malformed_form() -> RefusedError:
    return RefusedError(errors.bad_body("The multipart form is malformed"))
