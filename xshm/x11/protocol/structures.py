"""Structures of extensions' requests and replies, for extensions that python-xlib does not have."""

from __future__ import annotations

from typing import Any

from xshm.x11.protocol.xlib import rq


def request_struct(minor: int, *fields: Any) -> Any:
    """Return the structure of a request: `opcode` (the extension's major one), `minor`, the length, and the fields."""
    return rq.Struct(rq.Card8("opcode"), rq.Opcode(minor), rq.RequestLength(), *fields)


def reply_struct(data: Any, *fields: Any) -> Any:
    """Return the structure of a reply; `data` is the field of the byte in the header, `fields` begin at byte 8."""
    return rq.Struct(rq.ReplyCode(), data, rq.Card16("sequence_number"), rq.ReplyLength(), *fields)
