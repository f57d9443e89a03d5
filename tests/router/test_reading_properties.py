"""What holds for every path, document and head: checks that are clever agree with ones that are plain."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pointsman_router import routes
from pointsman_router.answering import jsonbounds
from pointsman_router.clients.forwarded import Proxies
from pointsman_router.clients.reader import Reader
from pointsman_router.clients.request import Budget, Request
from pointsman_router.errors import Problem, RefusedError
from pointsman_router.settings import Limits

_PIECES = st.sampled_from(
    [b"/", b".", b"..", b"%2e", b"%2F", b"%61", b"%41", b"a", b"v1", b"%", b"%00", b"%25", b";"]
)


@given(st.lists(_PIECES, max_size=12))
def test_a_normal_path_is_normal(pieces: list[bytes]) -> None:
    try:
        once = routes.normalise(b"/" + b"".join(pieces))
    except RefusedError:
        return
    assert routes.normalise(once) == once
    assert once.startswith(b"/")
    assert b"//" not in once
    assert not {b".", b".."} & set(once.split(b"/"))


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(one) for one in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(one) for one in value), default=0)
    return 0


_JSON = st.recursive(
    st.none() | st.text('[]{}"\\a1', max_size=6) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("[{a", max_size=3), inner, max_size=3)
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.text(max_size=2), _JSON, max_size=4), st.integers(1, 12))
def test_depth_is_what_recursion_says(document: dict[str, Any], most: int) -> None:
    body = json.dumps(document).encode()
    assert jsonbounds.deeper_than(body, document, most) == (_depth(document) > most)


@pytest.mark.parametrize("end", ["", "\\", '\\"', "a"])
def test_an_open_string_is_one_up_to_the_end(end: str) -> None:
    """Each quote in it would begin another search to there, or a megabyte of them stop the process."""
    body = ('{"a":"' + '\\"' * 50 + end).encode()
    assert [found[0] for found in jsonbounds._STRUCTURE.finditer(body)] == [b"{", b'"a"', body[5:]]


_NUMBER = st.from_regex(r"\A-?(?:0|[1-9][0-9]{0,150})(?:\.[0-9]{1,150})?(?:[eE][+\-]?[0-9]{1,40})?\Z")


@settings(max_examples=300)
@given(
    numbers=st.lists(_NUMBER, max_size=3),
    text=st.text('0123456789."\\-e', max_size=200),
    ids=st.integers(0, 3) | st.integers(20, 50),
    most=st.integers(16, 300),
)
@example(["1" * 17], "", 0, 16)
@example(["-1.111111e+11111"[:16] + "1"], "", 0, 16)
@example(["1" * 65], "", jsonbounds._LOOKS, 64)
def test_long_numbers_are_found_wherever_they_stand(
    numbers: list[str], text: str, ids: int, most: int
) -> None:
    before = [json.dumps("4" * 40) for _ in range(ids)]
    body = f'{{"s":{json.dumps(text)},"a":[{",".join(before + numbers)}]}}'.encode()
    assert jsonbounds.has_number_beyond(body, most) == any(len(number) > most for number in numbers)


_ADDRESS = st.ip_addresses().map(str)


@given(st.lists(_ADDRESS | st.sampled_from(["10.1.2.3", "rubbish", "", "unknown"]), max_size=6))
def test_only_what_trusted_proxies_added_is_believed(chain: list[str]) -> None:
    proxies = Proxies(["10.0.0.0/8"])
    found = proxies.client(", ".join(chain).encode()).decode()
    assert re.fullmatch(r"[0-9a-f:.]*", found), "nothing that would need escaping in a log"
    if found and not proxies.trusts(found):
        place = max(at for at, entry in enumerate(chain) if proxies.client(entry.encode()).decode() == found)
        assert all(proxies.trusts(entry) for entry in chain[place + 1 :])


class _Owner:
    """Writes down what a reader says, and refuses nothing."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def admit(self, request: Request) -> Problem | None:
        return None

    def proceed(self) -> None:
        self.said.append("proceed")

    def received(self, request: Request) -> None:
        names = [name for name in Request.__slots__ if name not in ("id", "budget")]
        made = re.fullmatch(rb"[0-9a-f]{32}", request.id) is not None
        said = {name: getattr(request, name) for name in names}
        self.said.append(said | {"id": b"made" if made else request.id})

    def surplus(self) -> None:
        raise AssertionError

    def refused(self, problem: Problem, request: Request) -> None:
        self.said.append(problem.status)


_FIELDS = st.lists(
    st.sampled_from(
        [
            b"X-A: b",
            b"Authorization: Bearer k",
            b"Connection: x-a",
            b"X-Pointsman-Timeout: 5",
            b"X-Pointsman-Timeout: x",
            b"traceparent: 00-" + b"@" * 32 + b"-" + b"b" * 16 + b"-01",
            b"Traceparent: 00-" + b"c" * 32 + b"-" + b"@" * 16 + b"-01",
            b"tracestate: a=@",
            b"Tracestate: @",
            b"X-Request-ID: id@",
            b"x-request-id: @",
            b"Origin: https://a",
            b"Content-Type: a/b",
            b"Connection: close",
            b"Content-Length: 3",
            b"Content-Length: 003",
            b"content-length: 2",
            b"Content-Length: 3x",
            b"Content-Length: ",
        ]
    ),
    max_size=5,
)


_VALUE = st.sampled_from([b"a", b"b", b"0", b"G", b"", b" ", b"a ", b" a", b"\t", b"a,b", b"\xe9", b'"'])
_VALUES = st.tuples(_VALUE, _VALUE)


@settings(max_examples=1000)
@given(_FIELDS, st.binary(max_size=6), st.binary(max_size=6), _VALUES, st.integers(0, 400))
def test_a_head_means_the_same_when_it_comes_again(
    fields: list[bytes], first: bytes, second: bytes, values: tuple[bytes, bytes], cut: int
) -> None:
    def request(body: bytes, value: bytes) -> bytes:
        lines = [b"POST /x?y HTTP/1.1", b"Host: a", *fields, b"Content-Length: %d" % len(body)]
        return b"\r\n".join(lines).replace(b"@", value) + b"\r\n\r\n" + body

    one, two = _Owner(), _Owner()
    repeating = Reader(one, Limits(), Budget())
    repeating.feed(request(first, values[0]))
    data = request(second, values[1])
    for piece in (data[:cut], data[cut:]):
        if piece:
            repeating.feed(piece)
    fresh = Reader(two, Limits(), Budget())
    fresh.feed(data)
    if one.said and isinstance(one.said[0], dict) and one.said[0]["keep_alive"]:
        assert one.said[1:] == two.said


@pytest.mark.parametrize("length", [b"+3", b" 3", b"3_", b"0x3", b"", b"3 ", b"-3", b"\xb2", b"9" * 19])
def test_a_known_head_with_another_length_is_still_judged(length: bytes) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\n\r\n"
    owner = _Owner()
    reader = Reader(owner, Limits(), Budget())
    reader.feed(head % b"3" + b"abc")
    reader.feed(head % length + b"abc")
    assert owner.said[1:] == [413 if length.isdigit() and len(length) < 19 else 400]
