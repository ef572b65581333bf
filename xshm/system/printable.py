"""Untrusted text (titles, names, error messages, a caller's values), escaped and cut to fit in one line."""

from __future__ import annotations

from typing import Final

_MOST: Final = 300  # characters of a value in an error message


def printable(text: str) -> str:
    r"""Return the text with everything that is no visible character or space written as an escape such as "\\x1b".

    Escaped are line ends, control sequences, marks that change the direction of writing, and lone surrogates (bytes
    that could not be decoded): they could fake a row, colour the terminal, or fail to be written.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def quoted(value: object) -> str:
    """Return a caller's value for an error message: its repr, in one line, cut where it is long.

    Never raises: Python refuses to write an int of more than 4300 digits, and a repr may raise anything.
    """
    try:
        raw = repr(value)
    except Exception as error:
        trace = error.__traceback__ and error.__traceback__.tb_next
        if trace and trace.tb_frame.f_code.co_name not in ("__repr__", "wrapper"):  # the latter is reprlib's
            raise  # by a signal handler
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    shown = printable(raw)
    return shown if len(shown) <= _MOST else f"{shown[:_MOST]}… ({len(shown):,} characters)"
