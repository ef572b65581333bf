"""Text that others wrote (titles, names, error messages, a caller's own values), made fit to be shown in one line."""

from __future__ import annotations

from typing import Final

_MOST: Final = 300  # characters that are told of a value


def printable(text: str) -> str:
    r"""Return the text with everything that is no visible character or space written as an escape, "\\x1b" for one.

    Line ends, control sequences, marks that turn the direction of writing, and bytes that were no text (lone
    surrogates) can so neither fake a row, nor colour the terminal, nor fail to be written.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def quoted(value: object) -> str:
    """Return what an error says of a value that a caller gave: its repr, in one line, cut where it is long.

    Whatever the value is: Python refuses to write an int of more than 4300 digits, and a repr may raise anything.
    """
    try:
        raw = repr(value)
    except Exception as error:
        trace = error.__traceback__ and error.__traceback__.tb_next
        if trace and trace.tb_frame.f_code.co_name not in ("__repr__", "wrapper"):  # the latter is reprlib's
            raise  # a signal handler's
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    told = printable(raw)
    return told if len(told) <= _MOST else f"{told[:_MOST]}… ({len(told):,} characters)"
