"""Videos by PyAV: encoders, containers, what is written to.

In reading order:

`containers`: Container, which codecs it takes, and how it is written.
`colours`: the tags of colours.
`frames`: frames of libav as planes that are painted.
`encoder`: Encoder, pictures to packets.
`network`: Line, a URL that is written to with limits of time.
`outputs`: Output, a file, a pipe or a URL as a muxer writes to it.
`muxer`: Muxer, packets to a container.
`packets`: PacketSink, the last seconds of a recording in memory.
`sink`: LibavSink, all of them together.
"""
