"""The HTML page of two pictures that differ: they slide over each other, blink, lie side by side.

Always true:

1. Nothing is loaded from anywhere (`system.html_page`); pictures are in the file itself.
2. Names, messages and numbers are data, never markup: they are escaped, and the script sets them as text.
3. The message can be read without the script.
"""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING

from xshm.system import html_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xshm.testing.pictures.matching import Comparison

_PICTURES = (("expected", "Expected"), ("actual", "Actual"), ("diff", "Difference"))


def page(name: str, lines: Sequence[str], found: Comparison, files: Mapping[str, bytes]) -> bytes:
    """Return the page; `lines` is the message, `files` are the PNGs "expected", "actual" and "diff"."""
    names = ("page.css", "page.js", "page.html")
    style, script, body = (html_page.part("xshm.testing.pictures", "page", each) for each in names)
    pictures = "".join(
        f'<figure id="{key}"><figcaption>{title}</figcaption><div class="paper">'
        f'<img alt="{title}" src="data:image/png;base64,{base64.b64encode(files[key]).decode()}"></div></figure>\n'
        for key, title in _PICTURES
    )
    data = {
        "size": [found.actual.shape[1], found.actual.shape[0]],
        "sizes": {"actual": found.actual_size, "expected": found.expected_size},
        "corner": found.corner,
        "places": [[rect.x, rect.y, rect.width, rect.height, count] for rect, count in found.places],
    }
    text = json.dumps(data).replace("<", "\\u003c")
    return (
        f"{html_page.begin(f'{name}: expected and actual', style, script, 'data:')}"
        f"<header><h1>{html.escape(name)}</h1>\n<p>{'<br>'.join(map(html.escape, lines))}</p></header>\n"
        f'{body}\n<main id="stage">\n{pictures}</main>\n'
        f'<script type="application/json" id="data">{text}</script>\n{html_page.end(script)}'
    ).encode()
