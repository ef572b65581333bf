"""What users grab: a screen, its windows and pixmaps; and the lists of monitors and windows.

In reading order:

`drawable`: Drawable, the public methods that all of them have, over the engine in `capture.source`.
`recordable`: Recordable, `record`, `trace` and `live`, which they share with a VirtualDisplay.
`operable`: Operable, the clicks and keys of those two that programs show and listen in, over `input`.
`screen`: Screen, a display's root window; it opens all others.
`pixmap`: Pixmap, an off-screen drawable of the server: the shortest example of a Drawable.
`monitors`: the monitors that make up a screen, as regions of it.
`window_list`: the top-level windows, and the one that a title, an expression or "active" names.
`window_context`: what all Windows of one Screen share: atoms, event subscriptions.
`window_pixels`: where a window's pixels are: in its own pixmap by Composite, or on the screen.
`window`: Window, one window, whose pixmap is located anew after it was resized or mapped again.
`window_waits`: waits until a window of any process is there, or gone.
"""
