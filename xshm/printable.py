"""Text that other programs wrote (titles, names, error messages), made fit to be shown in one line of a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return the text with everything that is no visible character or space written as an escape, "\\x1b" for one.

    Line ends, control sequences, marks that turn the direction of writing, and bytes that were no text (lone
    surrogates) can so neither fake a row, nor colour the terminal, nor fail to be written.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
