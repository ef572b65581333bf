"""A connection to an X server: addresses, authority, connection setup, and requests with their replies.

The only package that uses python-xlib, with the packages inside: `protocol` (bytes, and in `xlib` all that is used of
python-xlib), `io` (one socket, many threads), `server` and `windows` (what a server and its windows report). Its files,
in reading order:

- `display_name`: display names, and connecting to their sockets
- `peer_credentials`: which user's server is at the other end, and whether that user may have a cookie
- `xauthority`: authority files, and the cookie for a display
- `setup`: the protocol's connection setup
- `xlib_base`: the display that python-xlib's objects call
- `connection`: requests, replies, errors, extensions
- `cookie`: requests that share a round trip
- `xlib_display`: python-xlib's Display over a connection
- `scheduling`: work while the server serves no other client, and the end of its turn with this one
- `bare_window`: windows that are never seen, by which a client or a server is known
- `same_server`: whether two connections are to the same server
"""
