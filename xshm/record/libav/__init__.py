"""Videos by PyAV: codecs, encoders, containers."""
