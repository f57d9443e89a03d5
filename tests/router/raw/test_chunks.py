"""Transfer-Encoding and the chunks under it: one coding, whose framing is followed to the letter."""

import pytest

from tests.router.raw.case import BODY, HOST, LINE, SMUGGLED, Case, bare, check, passed, refused
from tests.router.stack import Stack

LAST = b"0\r\n\r\n"
WHOLE = b"10\r\n" + BODY + b"\r\n" + LAST
TWO = b"6\r\n" + BODY[:6] + b"\r\na\r\n" + BODY[6:] + b"\r\n" + LAST


def chunked(body: bytes, *fields: bytes) -> bytes:
    return bare(b"Transfer-Encoding: chunked", *fields, body=body)


def coded(coding: bytes, body: bytes = WHOLE) -> bytes:
    return bare(b"Transfer-Encoding:" + coding, body=body)


CODINGS: tuple[Case, ...] = (
    passed("chunked", chunked(WHOLE)),
    passed("chunked in capitals", coded(b" CHUNKED")),
    passed("chunked without the space", coded(b"chunked")),
    passed("chunked, its field's name in lower case", bare(b"transfer-encoding: chunked", body=WHOLE)),
    refused("a length, then chunked", bare(b"Content-Length: 16", b"Transfer-Encoding: chunked", body=WHOLE)),
    refused("chunked, then a length", chunked(WHOLE, b"Content-Length: 16")),
    refused("chunked with a length of zero", chunked(WHOLE, b"Content-Length: 0")),
    refused("chunked with an empty length", chunked(WHOLE, b"Content-Length:")),
    refused("chunked in two fields", chunked(WHOLE, b"Transfer-Encoding: chunked")),
    refused("chunked twice in one field", coded(b" chunked, chunked")),
    refused("chunked, then identity", coded(b" chunked, identity")),
    refused("chunked, then identity in another field", chunked(WHOLE, b"Transfer-Encoding: identity")),
    refused("gzip, then chunked", coded(b" gzip, chunked"), 501, "transfer_encoding"),
    refused("identity, then chunked", coded(b" identity, chunked"), 501, "transfer_encoding"),
    refused(
        "gzip, then chunked in another field",
        bare(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=WHOLE),
        501,
        "transfer_encoding",
    ),
    refused("gzip alone", coded(b" gzip"), 501, "transfer_encoding"),
    refused("identity alone", coded(b" identity"), 501, "transfer_encoding"),
    refused("xchunked", coded(b" xchunked"), 501, "transfer_encoding"),
    refused("chunkedx", coded(b" chunkedx"), 501, "transfer_encoding"),
    refused("chunked with a parameter", coded(b" chunked;q=1")),
    refused("chunked in quotes", coded(b' "chunked"')),
    refused("chunked behind a comma", coded(b" ,chunked")),
    refused("chunked before a comma", coded(b" chunked,")),
    refused("chunked after a tab", coded(b"\tchunked")),
    refused("chunked after two spaces", coded(b"  chunked")),
    refused("chunked with a space behind it", coded(b" chunked ")),
    refused("chunked with a tab behind it", coded(b" chunked\t")),
    refused("chunked after a vertical tab", coded(b" \x0bchunked")),
    refused("chunked after a form feed", coded(b" \x0cchunked")),
    refused("chunked after a NUL", coded(b" \x00chunked")),
    refused("chunked with a byte above ASCII", coded(b" chunked\xa0")),
    refused("chunked with a long s", coded(" chun\u212aed".encode())),
    refused("no coding at all", coded(b"")),
    refused(
        "a coding whose name has a space before the colon", bare(b"Transfer-Encoding : chunked", body=WHOLE)
    ),
    refused("a coding whose name has an underscore", bare(b"Transfer_Encoding: chunked", body=WHOLE)),
    refused("a coding on a folded line", bare(b"Transfer-Encoding:\r\n chunked", body=WHOLE)),
    refused("a coding behind a folded line", bare(b"X: y\r\n Transfer-Encoding: chunked", body=WHOLE)),
    refused("a coding behind a bare CR", bare(b"X: y\rTransfer-Encoding: chunked", body=WHOLE)),
    refused("a coding behind a bare LF", bare(b"X: y\nTransfer-Encoding: chunked", body=WHOLE)),
    refused(
        "a coding on HTTP/1.0",
        LINE.replace(b"1.1", b"1.0") + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + WHOLE,
    ),
)

CHUNKS: tuple[Case, ...] = (
    passed("two chunks", chunked(TWO)),
    passed("a chunk for each byte", chunked(b"".join(b"1\r\n%c\r\n" % one for one in BODY) + LAST)),
    passed(
        "a size in capitals with leading zeros", chunked(b"0006\r\n" + TWO[3:].replace(b"a\r\n", b"00A\r\n"))
    ),
    passed("a last chunk of many zeros", chunked(WHOLE[:-5] + b"000\r\n\r\n")),
    passed("extensions", chunked(b'10;a=1;b="x y"\r\n' + BODY + b"\r\n0;last\r\n\r\n")),
    passed("trailers, which nobody reads", chunked(WHOLE[:-2] + b"X-Sum: 1\r\nHost: evil\r\n\r\n")),
    passed("a trailer that names the request anew", chunked(WHOLE[:-2] + b"X-Request-Id: evil\r\n\r\n")),
    passed("a trailer with a credential", chunked(WHOLE[:-2] + b"Authorization: Bearer x\r\n\r\n")),
    passed(
        "content that looks like the end of chunks",
        chunked(b"1f\r\n" + BODY[:-1] + b',"n":"\\r\\n"}\r\n\r\n' + b"\r\n" + LAST),
        body=BODY[:-1] + b',"n":"\\r\\n"}\r\n\r\n',
    ),
    passed(
        "empty lines within content",
        chunked(b"14\r\n" + BODY + b"\r\n\r\n\r\n" + LAST),
        body=BODY + b"\r\n\r\n",
    ),
    refused("a length in a trailer", chunked(WHOLE[:-2] + b"Content-Length: 5\r\n\r\n")),
    refused("a coding in a trailer", chunked(WHOLE[:-2] + b"Transfer-Encoding: chunked\r\n\r\n")),
    refused("a trailer that is no field", chunked(WHOLE[:-2] + b"rubbish\r\n\r\n")),
    refused("a trailer behind a space", chunked(WHOLE[:-2] + b" X: y\r\n\r\n")),
    refused("a size that isn't hex", chunked(b"xyz\r\n" + BODY + b"\r\n" + LAST)),
    refused("a size with 0x", chunked(b"0x10\r\n" + BODY + b"\r\n" + LAST)),
    refused("a negative size", chunked(b"-10\r\n" + BODY + b"\r\n" + LAST)),
    refused("a size with a plus", chunked(b"+10\r\n" + BODY + b"\r\n" + LAST)),
    refused("an empty size", chunked(b"\r\n" + BODY + b"\r\n" + LAST)),
    refused("a size behind a space", chunked(b" 10\r\n" + BODY + b"\r\n" + LAST)),
    refused("a size before a tab", chunked(b"10\t\r\n" + BODY + b"\r\n" + LAST)),
    refused("a size that overflows", chunked(b"10000000000000010\r\n" + BODY + b"\r\n" + LAST)),
    refused("a size that ends in a bare LF", chunked(b"10\n" + BODY + b"\r\n" + LAST)),
    refused("a size that ends in a bare CR", chunked(b"10\r" + BODY + b"\r\n" + LAST)),
    refused("a chunk shorter than its size", chunked(b"11\r\n" + BODY + b"\r\n" + LAST)),
    refused("a chunk longer than its size", chunked(b"f\r\n" + BODY + b"\r\n" + LAST)),
    refused("a chunk that ends in a bare LF", chunked(b"10\r\n" + BODY + b"\n" + LAST)),
    refused("a chunk that ends in nothing", chunked(b"10\r\n" + BODY + LAST)),
    refused("an extension with a control character", chunked(b"10;a=\x01\r\n" + BODY + b"\r\n" + LAST)),
    refused("an extension with a NUL", chunked(b"10;a\x00\r\n" + BODY + b"\r\n" + LAST)),
    refused("an extension that ends in a bare LF", chunked(b"10;a\n" + BODY + b"\r\n" + LAST)),
    refused("an extension that ends in a bare CR", chunked(b"10;a\r" + SMUGGLED + b"\r\n" + LAST)),
)


@pytest.mark.parametrize("case", CODINGS, ids=lambda case: case.name)
async def test_codings(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", CHUNKS, ids=lambda case: case.name)
async def test_chunks(case: Case, stack: Stack) -> None:
    await check(case, stack)
