"""A live view's port: who may look, what is answered, and how each viewer is sent what it watches.

In reading order:

- `listening`: the port, and the certificate
- `access`: the token, and a request's Host and Origin
- `visitor`: one connection, and how many there may be
- `audience`: what is shown, and what all viewers share
- `requests`: what a page's messages say
- `session`: one page, from its hello on
- `pictures`: /frame.png and /stream.mjpeg
- `routes`: what is answered over HTTP
- `vnc`: VNC clients
- `hub`: the thread that serves all of it
- `view`: LiveView, its handle
"""
