"""Recordings: what is on a screen, a window or a pixmap, as a video: to a file, a pipe or a URL.

A capture thread waits for changes and paints them into pictures; an encoder thread writes the pictures to a sink.

In reading order:

`recorder`: Recorder, what `record` returns, from its start to its stop.
`course`: Course: of several threads that start it one does, and what is stopped meanwhile ends by itself.
`ring`: Ring, a recording of which the last seconds are in memory until they are saved.
`choose`: what is written to, by target and settings.
`pipeline`: Pipeline, the two threads of a recording, and what they do when something ends it.
`writer`: SinkWriter, the encoder thread's work: new pictures, repeats and keep-alives.
`timing`: Clock, Pace and Grid: times that stand still in pauses, a bound of the rate, a constant rate.

The pixels come from `feeds`.
"""
