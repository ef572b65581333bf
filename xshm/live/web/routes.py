"""Routes: what is answered over HTTP: the page's files to anybody, pictures to those who have the token.

Always true:

1. Host and Origin are looked at first, whatever is asked for; then whether it is there; a picture needs the token.
2. A refusal says nothing but its number, and, to a host that is not known, how to have it known.
3. A path is compared, as it is; none is decoded or joined to a folder.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from websockets.datastructures import Headers
from websockets.http11 import Response

from xshm.live.messages import WEBSOCKET_PATH
from xshm.live.pages import page
from xshm.live.web import pictures
from xshm.live.web.visitor import answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request

    from xshm.live.web.audience import Audience, Shown
    from xshm.live.web.visitor import Visitor

FRAME, STREAM = "/frame.png", "/stream.mjpeg"
RFB_PATH: Final = "/rfb"
_BEARER: Final = "bearer "
_MOST_FIELDS: Final = 8
_LONG_NUMBER: Final = 4  # digits
_UNKNOWN_HOST: Final = (
    "This live view is not known by that name. Open it by the machine's address, or name the host where it is started: "
    "allowed_hosts=[…], --allow-host.\n"
)


class Routes:
    """The HTTP side of a live view."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience

    async def answer(self, _connection: ServerConnection, request: Request) -> Response | None:
        """Return the answer to a request; None where a WebSocket begins."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        path = _path(request)
        if path in (WEBSOCKET_PATH, RFB_PATH):
            if path == RFB_PATH and not (self._audience.has_vnc and channel_of(request, self._audience.shown)):
                return answer(HTTPStatus.NOT_FOUND)
            if "websocket" not in request.headers.get("Upgrade", "").lower():
                return answer(HTTPStatus.UPGRADE_REQUIRED, {"Upgrade": "websocket"})
            return None
        found = page(path)
        if found is None:
            return answer(HTTPStatus.NOT_FOUND)
        body, headers = found
        return Response(
            200, "OK", Headers({**headers, "Connection": "close"}), body if _method(request) == "GET" else b""
        )

    async def stream(self, visitor: Visitor, request: Request) -> bool:
        """Answer a request for pictures, and return True at the end; return False at once for another one."""
        path = _path(request)
        if path not in (FRAME, STREAM) or self._refusal(request) is not None:
            return False
        shown = await self._wanted(visitor, request)
        if isinstance(shown, Response):
            visitor.transport.write(shown.serialize())
        elif _method(request) == "HEAD":
            visitor.transport.write(answer(HTTPStatus.OK).serialize())
        elif path == FRAME:
            await pictures.send_frame(visitor, self._audience, shown)
        else:
            await pictures.send_stream(visitor, self._audience, shown)
        await visitor.finish()
        return True

    async def _wanted(self, visitor: Visitor, request: Request) -> Shown | Response:
        """Return the channel that a request with the right token wants, or the refusal."""
        query = _query(request)
        token = _token(request, query)
        if token is None or not self._audience.access.is_token(token):
            if token is not None:
                await asyncio.sleep(self._audience.access.failed(visitor.address))
            return answer(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Bearer realm="live view"'})
        visitor.visitors.is_known(visitor)
        shown = self._audience.shown.get(channel_of(request, self._audience.shown))
        return answer(HTTPStatus.NOT_FOUND) if shown is None else shown

    def _refusal(self, request: Request) -> Response | None:
        access, headers = self._audience.access, request.headers
        hosts = headers.get_all("Host")
        if not access.is_host(hosts):
            return answer(HTTPStatus.MISDIRECTED_REQUEST, words=_UNKNOWN_HOST)
        if not access.is_origin(headers.get_all("Origin"), hosts):
            return answer(HTTPStatus.FORBIDDEN)
        if _method(request) not in ("GET", "HEAD"):
            return answer(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD"})
        return None


def channel_of(request: Request | None, shown: Mapping[int, Shown]) -> int:
    """Return the number of the channel that a request names, or else of the first; 0 where there is none."""
    text = "" if request is None else _query(request).get("channel", "")
    if not text:
        return min(shown, default=0)
    is_number = text.isascii() and text.isdecimal() and len(text) < _LONG_NUMBER
    return int(text) if is_number and int(text) in shown else 0


def _method(request: Request) -> str:
    return getattr(request, "method", "GET")  # older ones of `websockets` take no other


def _path(request: Request) -> str:
    return request.path.partition("?")[0]


def _query(request: Request) -> dict[str, str]:
    """Return the fields of a query, those that come once."""
    try:
        found = parse_qs(request.path.partition("?")[2], max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _token(request: Request, query: Mapping[str, str]) -> str | None:
    """Return what a request shows as the token; in its header it is in no history and no log of a proxy."""
    headers = request.headers.get_all("Authorization")
    if headers:
        is_bearer = len(headers) == 1 and headers[0].lower().startswith(_BEARER)
        return headers[0][len(_BEARER) :].strip() if is_bearer else ""
    return query.get("token")
