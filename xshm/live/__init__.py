"""A screen in a browser: `screen.live()` gives a link; who opens it sees the screen, and can do nothing to it.

In reading order:

- `picture`: what a screen shows, and which parts of it have changed since when
- `pointing`: its pointer
- `absence`: why there is no picture of it now
- `channel`: one screen, captured while somebody watches it, and what has become of it
- `messages`: what the hub and a viewer's page say to each other
- `pages`: the files of that page, in `page/`, and the headers that they are served with
- `encoding`: PNG and JPEG of what has changed, made once for all viewers
- `pace`: what a viewer is sent next, and when, by what its acknowledgements say
- `video`: H.264 of all of it, for slow lines with full motion
- `input`: pointer and keys of a viewer, where they are allowed
- `settings`: how a view is to be served, checked

`web` serves it, and has LiveView; `rfb` is what VNC clients speak.
"""
