"""Numpy arrays shown in X windows and pixmaps, through memory that is shared with the server.

In reading order:

- `surface`: Surface, what a program calls: show, show_frame, draw, wait, events
- `swapchain`: back buffers, acquired, written and presented; what is shown, and how it survives interrupts
- `buffers`: its two or three buffers: which one is free, and which parts of it are stale
- `contents`: which memory each part of the drawable shows
- `blit`: the requests that copy into the drawable, and their completions
- `blit_path`: CopyArea or ShmPutImage: the faster one, measured
- `frame_memory`: a frame's own memory as what is presented
- `frame_colours`: frames of another format than the surface's
- `target`: the window that is opened, or the drawable that is there
- `inbox`: a window's events, sorted
- `event_reader`: waiting for an event, and redrawing in the meantime
"""
