"""Every spelling of a path: brought to one, then looked up; the engine gets the table's own."""

import pytest

from tests.router.raw.case import HOST, Case, Told, answered, check, passed, post
from tests.router.stack import Stack

BAD = (400, "invalid_path")
UNKNOWN = (404, "unknown_url")


def to(path: bytes) -> bytes:
    return post(line=b"POST " + path + b" HTTP/1.1\r\n")


def of(model: bytes) -> bytes:
    return b"GET /v1/models/" + model + b" HTTP/1.1\r\n" + HOST + b"\r\n"


CASES: tuple[Case, ...] = (
    passed("as it is", to(b"/v1/chat/completions")),
    passed("a double slash", to(b"/v1//chat/completions")),
    passed("slashes in front", to(b"///v1/chat/completions")),
    passed("a dot segment", to(b"/v1/./chat/completions")),
    passed("a dot segment in front", to(b"/./v1/chat/completions")),
    passed("a segment up and down again", to(b"/v1/chat/../chat/completions")),
    passed("up from a path that isn't there", to(b"/admin/../v1/chat/completions")),
    passed("an escaped letter", to(b"/v1/ch%61t/completions")),
    passed("all of it escaped", to(b"/%76%31/%63hat/%63ompletion%73")),
    passed("an escaped dot segment", to(b"/v1/%2e/chat/completions")),
    passed("an escaped way up", to(b"/v1/x/%2E%2e/chat/completions")),
    passed("a way up behind a double slash", to(b"/v1/x//../chat/completions")),
    passed(
        "a query is no path", to(b"/v1/chat/completions?/../%2f%00"), path="/v1/chat/completions?/../%2f%00"
    ),
    answered("an encoded slash", to(b"/v1/chat%2Fcompletions"), *BAD),
    answered("an encoded slash in lower case", to(b"/v1/chat%2fcompletions"), *BAD),
    answered("an encoded way up with an encoded slash", to(b"/v1/x/..%2fchat/completions"), *BAD),
    answered("an encoded backslash", to(b"/v1/chat%5ccompletions"), *BAD),
    answered("an encoded NUL", to(b"/v1/chat/completions%00"), *BAD),
    answered("an encoded line break", to(b"/v1/chat/completions%0d%0aX-A:%20b"), *BAD),
    answered("an encoded DEL", to(b"/v1/chat/completions%7f"), *BAD),
    answered("out of the root", to(b"/../v1/chat/completions"), *BAD),
    answered("out of the root by detour", to(b"/v1/../../v1/chat/completions"), *BAD),
    answered("out of the root by escapes", to(b"/%2e%2e/v1/chat/completions"), *BAD),
    answered("a percent sign alone", to(b"/v1/chat/completions%"), *BAD),
    answered("an escape that isn't hex", to(b"/v1/chat/completions%zz"), *BAD),
    answered("an escape in UTF-16", to(b"/v1/ch%u0061t/completions"), *BAD),
    answered("an escape twice escaped", to(b"/v1/ch%2561t/completions"), *UNKNOWN),
    answered("a slash twice escaped", to(b"/v1/chat%252fcompletions"), *UNKNOWN),
    answered("an overlong slash", to(b"/v1/chat%c0%afcompletions"), *UNKNOWN),
    answered("a slash at the end", to(b"/v1/chat/completions/"), *UNKNOWN),
    answered("a dot segment at the end", to(b"/v1/chat/completions/."), *UNKNOWN),
    answered("a parameter at the end", to(b"/v1/chat/completions;a=b"), *UNKNOWN),
    answered("a dot segment with a parameter", to(b"/v1/x/..;/chat/completions"), *UNKNOWN),
    answered("in capitals", to(b"/V1/Chat/Completions"), *UNKNOWN),
    answered("an escaped space at the end", to(b"/v1/chat/completions%20"), *UNKNOWN),
    answered("the root", to(b"/"), *UNKNOWN),
    answered("an engine's control path", to(b"/v1/load_lora_adapter"), *UNKNOWN),
    answered(
        "an engine's control path by detour", to(b"/v1/chat/completions/../../load_lora_adapter"), *UNKNOWN
    ),
    answered("an engine's control path by escapes", to(b"/v1/%6coad_lora_adapter"), *UNKNOWN),
    answered("an engine's control path behind slashes", to(b"//v1//load_lora_adapter"), *UNKNOWN),
    answered("an engine's metrics", b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n", *UNKNOWN),
    answered("an engine's pause", to(b"/pause"), *UNKNOWN),
    # A model's name is data that only the router reads; names of models have slashes.
    answered("a model by name", of(b"chat"), 200, None),
    answered("a model by escaped name", of(b"%63hat"), 200, None),
    answered("a model whose name has an encoded slash", of(b"org%2Fchat"), 404, "model_not_found"),
    answered("a model whose name has a slash", of(b"org/chat"), 404, "model_not_found"),
    answered("a model's name that goes up", of(b"x/../chat"), 200, None),
    answered("a model's name that only looks as if it went up", of(b"..%2Fchat"), 404, "model_not_found"),
    answered("a model's name with an encoded NUL", of(b"chat%00"), *BAD),
    answered("a model's name with an encoded backslash", of(b"..%5cchat"), *BAD),
    answered("a model's name out of the root", of(b"../../../chat"), *BAD),
    answered("a model's name that goes up to a route", of(b"../chat/completions"), 405, "method_not_allowed"),
    answered("a model without a name", of(b""), *UNKNOWN),
    Case(
        "a wrong method names the right one",
        b"GET /v1//chat/completions HTTP/1.1\r\n" + HOST + b"\r\n",
        (Told(405, "method_not_allowed", {"allow": "POST"}),),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_paths(case: Case, stack: Stack) -> None:
    await check(case, stack)
