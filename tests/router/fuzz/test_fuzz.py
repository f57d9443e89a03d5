"""Mutated conversations: whatever one side sends, the other gets whole messages, and nothing is left over."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.router.fuzz.conversation import check
from tests.router.fuzz.samples import ANSWERS, REQUESTS, corpus, split


@st.composite
def _mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A few samples in a row, with a few bytes changed, dropped or doubled."""
    data = b"".join(draw(st.lists(st.sampled_from(samples), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        inserted = draw(st.one_of(st.binary(max_size=3), st.sampled_from(SPELLINGS)))
        data = data[:at] + inserted + data[at + draw(st.integers(0, 3)) :]
    return data


SPELLINGS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\x0b",
        b":",
        b"\0",
        b"+",
        b"0x",
        b";",
        b"%2e",
        b"//",
        b", chunked",
    ),
    *(b"0\r\n\r\n", b"Content-Length: 3\r\n", b"Host: b\r\n", b"HTTP/1.0", b"Connection: close\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding:\tchunked\r\n"),
    b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
]
"""What the two parsers of a smuggled request disagree about."""


@settings(max_examples=400)
@given(_mutated(REQUESTS), st.sampled_from(ANSWERS), st.integers(1, 300))
def test_whatever_a_client_sends_engines_get_whole_requests(client: bytes, script: bytes, piece: int) -> None:
    check(client, script, piece)


@settings(max_examples=400)
@given(st.sampled_from(REQUESTS), _mutated(ANSWERS), st.integers(1, 300))
def test_whatever_an_engine_sends_clients_get_whole_answers(client: bytes, script: bytes, piece: int) -> None:
    check(client, script, piece)


@pytest.mark.parametrize("data", corpus())
def test_the_corpus_passes(data: bytes) -> None:
    check(*split(data))


def test_the_checks_see_real_requests() -> None:
    assert check(REQUESTS[0] + REQUESTS[2], ANSWERS[0], 1 << 20) == 2
