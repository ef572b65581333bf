"""Everything that was on a screen: each changed rectangle without loss, and what happened besides, in one file.

In reading order:

- `records`: the records of a trace, as bytes
- `page`: the HTML file that holds them, with its viewer: one script, one style sheet and one body in `viewer/`
- `trace`: Trace, what `trace` returns, from its start to its stop; `settings`: how it is made
- `engine`: the thread that takes pictures; `noting` has what is noted besides
- `rectangles`: what of a picture differs from the one before; `pace`: how often one is taken; `log`: what is kept, and
  `spill`: the file that a killed process leaves of it
- `reader`: TraceReader, what a trace holds at any of its instants; `reading` has the parts of that
- `export`: a trace as a video, and as a page

**The format, version 1.** A trace is a stream of bytes: `XSHMTRACE1`, a newline, then records until the end. A record
is a header of 20 bytes and its payload; numbers are little-endian:

    kind        1 byte       H, K, C or J
    zero        3 bytes
    length      4 bytes      of the payload
    time        8 bytes      signed, nanoseconds since the head's `started_ns`; never less than the record's before
    checksum    4 bytes      CRC-32 of the payload

- `H`, the head, comes first and once: a JSON object (`records.HEAD` has its names).
- `K`, a key picture, and `C`, a change: the number of rectangles (2 bytes), then of each x, y, width, height (2 bytes
  each, from the region's corner), the length (4 bytes) and the bytes of its PNG. A key picture is one rectangle, which
  is all of the region. Pixels outside of a change's rectangles are as they were. The first picture is a K; reading can
  begin at any other, and what it needs besides is said anew behind each K: the windows, the pointer, the rate.
  At depth 32 a PNG holds the colours over black, and its own chunk `alPH` the raw alpha (`rectangles` has the details);
  without one all is opaque.
- `J`, an event: a JSON object, whose `type` says what it is (`records.EVENTS`). Readers skip unknown ones.

A stream that ends in the middle of a record was cut there: all before is good (`xshm trace --recover`). In an HTML file
the stream is the text of the element `<script type="application/x-xshm-trace" id="trace">`, as base64.

**In a browser**, the keys are those of video players: space or k plays, j and l go ten seconds, the arrows one, comma
and full stop one frame, `[` and `]` one change, m to the next mark, e to the failure, Home, End and digits as usual,
< and > change the speed, i passes over what is quiet. A click or a drag, or v and the arrows, choose a pixel or a
region: p and n go to its last and its next change. a and b set two instants, d compares them. `?` lists all keys.
`#t=12.34` behind the file's address is a link to an instant. For scripts there are `xshm.ready`,
`xshm.seek(seconds)`, which are promises, and `xshm.canvas`, which has the exact pixels of the instant.
"""
