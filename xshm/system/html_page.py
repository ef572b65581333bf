"""An HTML page that needs nothing else, and loads nothing: the parts that are the same in each one.

Always true:

1. A Content-Security-Policy allows one script and one style sheet, by their hashes, and pictures from inside the page.
2. The title is data, never markup: it is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import html
from importlib import resources


def begin(title: str, style: str, script: str, images: str, head: str = "") -> str:
    """Return a page's beginning, up to and with its <body>.

    `script` is what `end` is given; `images` are the sources that pictures may have, "data:"; `head` is markup of its
    own for the <head>, in lines.
    """
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src {images}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{head}<title>{html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )


def end(script: str) -> str:
    """Return a page's end, with its script."""
    return f"<script>{script}</script>\n</body>\n</html>\n"


def part(package: str, *names: str) -> str:
    """Return a text file of a package's: its style sheet, its script, its body."""
    return resources.files(package).joinpath(*names).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
