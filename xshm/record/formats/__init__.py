"""Videos without PyAV: containers of our own and of Pillow.

In reading order:

`growing_file`: a file that is complete after each frame.
`animation`: Animation, what the sinks of animated pictures share: which pixels a frame holds, and how long it is shown.
`apng`: ApngSink, exact pixels.
`streamed`: Streamed, what streams of bare pictures share: memory as it is written, a pipe that can be given up.
`y4m`: Y4mSink, uncompressed YUV with a header of one line.
`raw`: RawSink, the exact pixels without a header.
`palette`: the 256 colours that are nearest to a picture's.
`gif`: GifSink, 256 colours in each frame.
`webp`: WebpSink, exact pixels, or small ones.
"""
