"""Recordable: `record`, `trace`, `live`, of all whose picture changes: Screen, Window, Pixmap, VirtualDisplay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, overload

from xshm.errors import InvalidArgument
from xshm.system import limits

if TYPE_CHECKING:
    import os
    import re
    from collections.abc import Iterable, Mapping

    from xshm.capture.source import Source
    from xshm.geometry import Region
    from xshm.live.web.view import LiveView
    from xshm.record.recorder import Recorder
    from xshm.record.ring import Ring
    from xshm.trace.trace import Trace

    Target = str | bytes | os.PathLike[str]

    class Choices(TypedDict, total=False):
        """The arguments of `record` that a Recorder and a Ring share."""

        region: Region | None
        fps: float | None
        cursor: bool
        codec: str | None
        quality: Literal["screen", "small", "lossless"]
        options: Mapping[str, str | int | float | bool] | None
        max_edge: int | None
        constant: bool
        format: str | None


class Recordable:
    """What can be recorded, and seen from elsewhere."""

    __slots__ = ()

    def _recorded(self) -> Source:
        """Return what `record`, `trace` and `live` show."""
        raise NotImplementedError

    @overload
    def record(self, target: Target, **choices: Unpack[Choices]) -> Recorder: ...

    @overload
    def record(
        self, target: None = None, *, keep_last: float, max_bytes: int | None = None, **choices: Unpack[Choices]
    ) -> Ring: ...

    def record(
        self,
        target: Target | None = None,
        *,
        region: Region | None = None,
        fps: float | None = 30,
        cursor: bool = False,
        codec: str | None = None,
        quality: Literal["screen", "small", "lossless"] = "screen",
        options: Mapping[str, str | int | float | bool] | None = None,
        max_edge: int | None = None,
        constant: bool = False,
        format: str | None = None,  # noqa: A002 - the container's word
        keep_last: float | None = None,
        max_bytes: int | None = None,
    ) -> Recorder | Ring:
        """Record a video to a file, a pipe or a URL; `with screen.record("out.mp4"):` begins and ends it.

        `target` is a path, whose suffix names the container: .mp4, .mkv, .webm, .mov, .ts, .gif, .apng, .webp, .y4m;
        "-" is standard output, as y4m or format="bgr0"; or a URL, as rtmp://… . A file is replaced, once the new one
        has a picture that plays. .mp4 and the like need PyAV: pip install 'xshm[video]'.

        - `fps`: at most so many pictures a second, 0.001 to 1000; None: each change. A still screen costs nothing.
          `constant`: exactly so many, repeated where nothing changes; where the encoder is slower than that, the end
          waits until it has had them all. `cursor`: with the pointer.
        - `quality`: "screen", colour in full resolution (4:4:4), so that coloured text stays sharp; "small" (4:2:0),
          which every H.264 decoder takes; "lossless", the exact pixels.
        - `codec` by its name, "h264", "vp9"; `options` are the encoder's, {"crf": 18}; `format` is the container where
          the suffix does not name it. `max_edge`: scaled down to so many pixels along the longer edge.
        - `keep_last`: keep the last seconds in memory, at most `max_bytes` of them, instead of a target: `ring.save`.

        The size stays that of the start: of a window that is resized the rest is black, or cut; one that is hidden
        keeps its last picture until it is back; one that is closed ends the recording, and that is no error. An odd
        width or height is padded by its last column or row once more where colour is 4:2:0; `recorder.how` says so.

        A Recorder belongs to what it records: closing the screen ends it. Raises InvalidArgument and InvalidType for
        what can't be, with the way out; what the source or the target refuse, `Recorder.start` raises.
        """
        with limits.loading():
            from xshm.record.sinks.settings import Settings  # noqa: PLC0415 - a screenshot does not pay for it

        chosen = Settings(fps, constant, cursor, quality, codec, {} if options is None else options, format, max_edge)
        if keep_last is not None:
            if target is not None:
                raise InvalidArgument("a ring of the last seconds has no target; ring.save(path) writes it to one")
            with limits.loading():
                from xshm.record.ring import Ring  # noqa: PLC0415 - as above, and it needs PyAV

            return Ring(self._recorded(), region, chosen, keep_last, max_bytes)
        if max_bytes is not None:
            raise InvalidArgument("max_bytes bounds a ring of the last seconds: name them, keep_last=30")
        if target is None:
            raise InvalidArgument("a recording needs a target: a path, '-' or a URL; or keep_last=, a ring in memory")
        with limits.loading():
            from xshm.record.recorder import Recorder  # noqa: PLC0415 - as above

        return Recorder(self._recorded(), target, region, chosen)

    def trace(
        self,
        path: Target | None = None,
        *,
        region: Region | None = None,
        fps: float = 30,
        keep_last: float | None = None,
        max_bytes: int | None = None,
        redact: Iterable[Region | re.Pattern[str]] = (),
        typed_text: bool = False,
        spill: Target | None = None,
        title: str | None = None,
    ) -> Trace:
        """Keep everything that is on it, exactly; `with screen.trace("login.html") as trace:` begins and ends it.

        `path` is an HTML file, written at the end, also when an exception passes: the picture at any instant, windows,
        pointer, input, marks and logs. Chromium and Firefox show it, with nothing else; `Trace.open` reads it. Without
        a path, `keep_last=60` keeps the last minute, which `trace.save` writes.

        - `fps`: at most so many pictures a second. Where more changes than the machine has time for, it is less, in
          steps that the file tells; each picture is exact nevertheless. A still screen costs nothing.
        - `keep_last`: seconds that are kept; None: all. `max_bytes` bounds the memory (64 MiB): of what does not fit
          the oldest goes.
        - `redact`: regions that are black, and patterns (compiled, or texts that are no region) of which each match in
          titles, marks and logs is "█████". `typed_text`: what `type` types is kept, else its length alone.
        - `spill`: a file to which all goes as it comes, so that after a kill `xshm trace --recover` has it. It is
          removed at a proper end. `title`: the file's, for people.

        The size stays that of the start, as in `record`. Raises InvalidArgument and InvalidType for what can't be; what
        the source refuses, `Trace.start` raises.
        """
        with limits.loading():
            from xshm.trace.log import MAX_BYTES  # noqa: PLC0415 - as above
            from xshm.trace.settings import TraceSettings  # noqa: PLC0415 - as above
            from xshm.trace.trace import Trace  # noqa: PLC0415 - as above

        most = MAX_BYTES if max_bytes is None else max_bytes
        chosen = TraceSettings(fps, keep_last, most, redact, typed_text, spill, title)
        return Trace(self._recorded(), path, region, chosen)

    def live(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        region: Region | None = None,
        fps: float = 60,
        title: str | None = None,
        allow_input: bool = False,
        video: bool = True,
        token: str | None = None,
        vnc_port: int | None = None,
        vnc_password: str | None = None,
        tls_cert: Target | None = None,
        tls_key: Target | None = None,
        unencrypted: bool = False,
        allowed_hosts: Iterable[str] = (),
        max_viewers: int = 32,
    ) -> LiveView:
        """Show it in browsers, as it changes; `with screen.live() as live: print(live.url)` begins and ends it.

        Who opens the link sees it: exactly while it is still, smoothly while it moves. It needs `websockets`:
        pip install 'xshm[live]'. While nobody looks it costs nothing.

        - `port`: 0 is any that is free. `host`: where to listen. Others than this machine are let in only with a
          certificate, `tls_cert` and `tls_key` (PEM files), or with unencrypted=True; `allowed_hosts` are further names
          that the link may have, as behind a proxy.
        - `region` is a part of it. Without one the view follows its size. `fps`: at most so many pictures a second.
          `title`: what the page calls it.
        - `allow_input`: viewers may use pointer and keyboard, through `xshm.input`; else there is no way to.
        - `video`: offer H.264 for much motion over slow lines, which needs PyAV: pip install 'xshm[video]'.
        - `token`: the secret of the link, at least 16 characters; a random one, unless it is to stay the same.
          `max_viewers` look at the same time, at most.
        - `vnc_port`: VNC clients may look, too, and only look (0: at any port that is free), with `vnc_password`, or a
          random one: `live.vnc`, `live.vnc_password`. With either of the two, noVNC may look by a WebSocket at /rfb,
          from a page that has the view's own address, as a proxy before both gives it one.

        Raises InvalidArgument and InvalidType for what can't be, with the way out, and MissingExtra; what the port or
        the certificate refuse, `LiveView.start` raises as LiveViewFailed.
        """
        with limits.loading():
            from xshm.live.web.view import LiveView  # noqa: PLC0415 - as above

        return LiveView(
            self,
            port=port,
            host=host,
            region=region,
            fps=fps,
            title=title,
            allow_input=allow_input,
            video=video,
            token=token,
            vnc_port=vnc_port,
            vnc_password=vnc_password,
            tls_cert=tls_cert,
            tls_key=tls_key,
            unencrypted=unencrypted,
            allowed_hosts=allowed_hosts,
            max_viewers=max_viewers,
        )
