"""Videos without PyAV: containers of our own and of Pillow.

In reading order:

`growing_file`: a file that is complete after each frame.
`animation`: Animation, what the sinks of animated pictures share: which pixels a frame holds, and how long it is shown.
`apng`: ApngSink, exact pixels.
`palette`: the 256 colours that are nearest to a picture's.
`gif`: GifSink, 256 colours in each frame.
`webp`: WebpSink, exact pixels, or small ones.
"""
