"""Videos by PyAV: codecs, encoders, containers.

In reading order:

`network`: Line, a URL that is written to with limits of time.
"""
