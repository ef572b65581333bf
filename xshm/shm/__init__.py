"""Memory that is shared with an X server: segments, a pool of them, and the transport that attaches them to a server.

Files, in reading order:
- `own_segments`: xshm's System V segments, and removing those that a killed process left behind;
- `segment`: shared memory, by System V id or memfd;
- `pool`: slots, which are attached segments, acquired one for each frame;
- `transport`: attaching a segment to a server, and detaching it;
- `probe`: which transport works, with proof;
- `shared_pixmap`: pixmaps whose pixels lie in a segment.
"""
