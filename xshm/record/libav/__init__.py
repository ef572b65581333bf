"""Videos by PyAV: codecs, encoders, containers.

In reading order:

`frames`: frames of libav as planes that are painted.
"""
