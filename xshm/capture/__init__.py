"""Capture frames from a drawable: one, many, or one whenever something was drawn.

Everything here works on a `Source`, which has a drawable on the server and grabs from it. The verbs that users call are
in `drawables`, a layer above.

In reading order:

`session`: what all sources of one Screen share: connection, transport, pool, pointer; and the counts users see.
`grab`: the values of one grab: its memory, its packed request, the frame whose reply is waited for.
`source`: the engine: one request, its reply, a frame; and what happens when the drawable changes in between.
`pointer`: the cursor's image and position, requested with a grab and drawn into its frame.
`damage_region`: what was drawn on a source since the last query, as a region on the server (DAMAGE, XFIXES).
`pixmap_refresher`: frames kept up to date by the server, which copies what was drawn into shared pixmaps.
`row_refresher`: the same without shared pixmaps: rows that were drawn to are fetched by ShmGetImage or GetImage.
`changes`: ChangeTracker: one refresher after another, as the source is resized, remapped or destroyed.
`stream`: iterators of frames, plain and asynchronous: as fast as they are used, paced, or on change.
`stream_wait`: what a stream waits for between two frames, by blocking or in an event loop.
`pipelining`: whether a stream requests its next frame ahead, chosen by timing both ways from time to time.

The package `waiting` is built on `changes`: wait until a picture changes, is stable, or shows something.
"""
