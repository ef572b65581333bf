"""A screen for VNC clients: RFB 3.3 to 3.8, the server's side, view only, behind a password.

In reading order:

- `wire`: the messages' layout, and which encodings there are
- `client_format`: how a client wants its pixels
- `password`: VNC Authentication, and how fast passwords may be tried
- `protocol`: what a client's bytes mean
- `codecs`: Tight, ZRLE, Zlib
- `encoding`: rectangles of pixels, the pointer's image
- `viewed`: what is needed of a channel
- `canvas`: what a client has, and what it is sent next
- `pipes`: TCP and WebSockets
- `session`: one client, from its first byte to its last
- `service`: all clients of a channel
"""
