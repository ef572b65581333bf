"""The HTML file of a trace: the viewer, and the records as base64, in one file that needs nothing else.

Always true:

1. Nothing is loaded from anywhere (`system.html_page`); pictures are those that the script makes itself.
2. What is traced is data, never markup: the records are base64.
3. The text before the records is short, so that a reader finds them by their element.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import TYPE_CHECKING, Final

from xshm.errors import InvalidArgument
from xshm.system import html_page
from xshm.trace import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xshm.trace.records import Record

_BEGIN: Final = b'<script type="application/x-xshm-trace" id="trace">'
_END: Final = b"</script>"
_LONGEST_END: Final = 64  # bytes, in which the last tag of a page is looked for
_LINE: Final = 3 * 4096  # bytes of the stream a line; base64 of each is whole by itself, without padding but the last


def pieces(stream: Iterable[Record], title: str) -> Iterator[bytes]:
    """Yield the file of these records, in pieces."""
    style, script, body = (html_page.part("xshm.trace", "viewer", f"viewer.{each}") for each in ("css", "js", "html"))
    generator = f'<meta name="generator" content="xshm trace {records.VERSION}">\n'
    yield f"{html_page.begin(title, style, script, 'blob: data:', generator)}{body}\n".encode(
        "utf-8", "backslashreplace"
    )  # a title may be a path, with bytes that are no text
    yield _BEGIN + b"\n"
    kept = bytearray()
    for piece in records.pack(stream):
        kept += piece
        while len(kept) >= _LINE:
            yield base64.b64encode(kept[:_LINE]) + b"\n"
            del kept[:_LINE]
    yield base64.b64encode(kept) + b"\n" + _END
    yield f"\n{html_page.end(script)}".encode()


def stream_of(data: bytes, name: str) -> bytes:
    """Return the stream in a file's bytes: a page's, up to where it was cut off, or one that is a stream itself.

    Raises InvalidArgument, with the file's name, for any other file.
    """
    if data.startswith(records.MAGIC):
        return data
    begin = data.find(_BEGIN)
    if begin < 0:
        raise InvalidArgument(f"{name} is no trace: neither a page of one, nor what --recover reads")
    begin += len(_BEGIN)
    end = data.find(_END, begin)
    lines = data[begin : end if end >= 0 else len(data)].split()
    try:
        return b"".join(map(binascii.a2b_base64, lines))
    except binascii.Error:  # in the middle of a line, whose last digits are no byte; what is behind it is not read
        return b"".join(_whole_lines(lines))


def is_complete(data: bytes) -> bool:
    """Return whether a file is a page that goes to its end."""
    return data[-_LONGEST_END:].rstrip().endswith(b"</html>")


def _whole_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        try:
            yield binascii.a2b_base64(line)
        except binascii.Error:
            with contextlib.suppress(binascii.Error):
                yield binascii.a2b_base64(line[: len(line) // 4 * 4])
            return
