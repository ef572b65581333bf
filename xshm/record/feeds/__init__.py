"""Feeds: where the pixels of a recording, a trace and a live view come from.

In reading order:

- `feed`: Feed, and Captured, what one look at it gives.
- `source_feed`: what all feeds of a source share: region, wait, black where nothing is.
- `tracker_feed`: frames in shared memory.
- `live_feed`: the live memory of a screen.
- `opening`: the choice between them.
- `untorn`: read from one until no pixel is older than another.
"""
