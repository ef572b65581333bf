"""Sinks: what a recording is written to.

In reading order:

`settings`: Settings, how a recording is to be made, checked.
`sink`: Sink, what all kinds of them have in common.
"""
