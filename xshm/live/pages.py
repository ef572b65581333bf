"""The files of the page that a viewer opens, and the headers that they are served with.

Always true:

1. A page loads nothing from anywhere but its own hub, runs no script but these files, and is framed by nobody.
2. Only files of `page/` are served, by the names in `_TYPES`: a path is looked up and never joined to a folder.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

# "data:" for the tab's icon, "blob:" for pictures that the script makes; 'self' is the WebSocket's host and port too.
# Trusted types: no text becomes markup or a script.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

# Of each answer of the hub over HTTP, whatever it is.
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for what does not know frame-ancestors
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()",
    "Cache-Control": "no-store",  # another version of xshm may answer at the same address a minute later
}

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page(path: str) -> tuple[bytes, dict[str, str]] | None:
    """Return the body and the headers of the page's file at a path of its address, "/page.js"; None: there is none."""
    found = _files().get(path)
    if found is None:
        return None
    body, content_type = found
    return body, {**SECURITY_HEADERS, "Content-Type": content_type, "Content-Length": str(len(body))}


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Return the bytes and the type of each file by its path; the page itself is "/"."""
    found = {}
    for file in resources.files("xshm.live").joinpath("page").iterdir():
        content_type = _TYPES.get("." + file.name.rpartition(".")[2])
        if content_type is not None:
            found["/" if file.name == "page.html" else f"/{file.name}"] = (file.read_bytes(), content_type)
    return found
