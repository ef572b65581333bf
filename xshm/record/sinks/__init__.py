"""Sinks: what a recording is written to.

In reading order:

`settings`: Settings, how a recording is to be made, checked.
`sink`: Sink, what all kinds of them have in common.
`target`: Target, where a recording goes, as its caller names it, and in which container.
`opening`: standard output, a descriptor, a FIFO or a device, opened.
`timed_writer`: TimedWriter, writes to those that end in time.
"""
