"""Windows: the properties, tree, shapes and changes of other programs' windows, and windows of our own.

- `properties`: ICCCM and EWMH properties
- `client_pid`: the processes that windows belong to
- `tree`: top-level windows, their frames and clients
- `snapshot`: one top-level window at one moment
- `event_masks`: the events that are selected of windows, for all users of a connection
- `structure_events`: changes of windows, for any number of subscribers
- `shape`: bounding shapes, and their changes
- `known_windows`: which top-level windows are open, and what has become of them, from single facts
- `window_watch`: the selections and queries that tell those facts
- `redirection`: windows redirected off-screen, and the pixmaps that hold their pixels
- `own_window`: windows of our own
"""
