"""Recordings: what is on a screen, a window or a pixmap, as a video: to a file, a pipe or a URL.

A capture thread waits for changes and paints them into pictures; an encoder thread writes the pictures to a sink.

In reading order:

`feed`: Feed, where the pixels of a recording come from, and Captured, what one look at them gives. `source_feed`:
what all feeds of a source share: region, wait, black where nothing is. `tracker_feed`: frames in shared memory.
`live_feed`: the live memory of a screen. `feeds`: the choice between them.
"""
