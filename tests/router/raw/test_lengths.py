"""Content-Length: one, a plain number, and true."""

import pytest

from tests.router.raw.case import BODY, HOST, LINE, Case, answered, bare, check, passed, post, refused
from tests.router.stack import Stack

CASES: tuple[Case, ...] = (
    passed("a length in the usual spelling", post()),
    passed("a length in lower case", bare(b"content-length: 16", body=BODY)),
    passed("a length in capitals", bare(b"CONTENT-LENGTH: 16", body=BODY)),
    passed("a length without the space", bare(b"Content-Length:16", body=BODY)),
    passed("a length with leading zeros", bare(b"Content-Length: 0016", body=BODY)),
    refused("the same length twice", bare(b"Content-Length: 16", b"Content-Length: 16", body=BODY)),
    refused("two lengths, the true one first", bare(b"Content-Length: 16", b"Content-Length: 5", body=BODY)),
    refused("two lengths, the true one last", bare(b"Content-Length: 5", b"content-length: 16", body=BODY)),
    refused("a list of equal lengths", bare(b"Content-Length: 16, 16", body=BODY)),
    refused("a list of lengths", bare(b"Content-Length: 16,5", body=BODY)),
    refused("a list with an empty place", bare(b"Content-Length: 16,", body=BODY)),
    refused("a length with a plus", bare(b"Content-Length: +16", body=BODY)),
    refused("a negative length", bare(b"Content-Length: -16", body=BODY)),
    refused("a length in hex", bare(b"Content-Length: 0x10", body=BODY)),
    refused("a length with an exponent", bare(b"Content-Length: 16e0", body=BODY)),
    refused("a length with a point", bare(b"Content-Length: 16.0", body=BODY)),
    refused("a length with an underscore", bare(b"Content-Length: 1_6", body=BODY)),
    refused("a length in quotes", bare(b'Content-Length: "16"', body=BODY)),
    refused("a length with words behind it", bare(b"Content-Length: 16 bytes", body=BODY)),
    refused("two lengths parted by a space", bare(b"Content-Length: 16 5", body=BODY)),
    refused("an empty length", bare(b"Content-Length:", body=BODY)),
    refused("a length in other digits", bare(b"Content-Length: \xd9\xa1\xd9\xa6", body=BODY)),
    refused("a length that overflows 64 bits", bare(b"Content-Length: 18446744073709551632", body=BODY)),
    refused("a length that overflows anything", bare(b"Content-Length: " + b"9" * 400, body=BODY)),
    refused("a length after a tab", bare(b"Content-Length:\t16", body=BODY)),
    refused("a length after two spaces", bare(b"Content-Length:  16", body=BODY)),
    refused("a length with a space behind it", bare(b"Content-Length: 16 ", body=BODY)),
    refused("a length with a space before its colon", bare(b"Content-Length : 16", body=BODY)),
    refused("a length whose name has an underscore", bare(b"Content_Length: 16", body=BODY)),
    refused("a length behind a tab in the name", bare(b"Content-Length\t: 16", body=BODY)),
    answered("no length at all means no body", LINE + HOST + b"\r\n", 400, "invalid_body"),
    answered("a length of zero", bare(b"Content-Length: 0"), 400, "invalid_body"),
    answered(
        "a GET with a body, which is read and ignored",
        post(line=b"GET /v1/models HTTP/1.1\r\n"),
        200,
        None,
    ),
    answered(
        "a body that looks like a request is a body",
        post(body=b"GET /v1/models HTTP/1.1\r\nHost: evil\r\n\r\n"),
        400,
        "invalid_body",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_lengths(case: Case, stack: Stack) -> None:
    await check(case, stack)
