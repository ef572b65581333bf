"""What a trace notes besides pixels.

`happenings`: what the X server tells: windows, pointer, input. `notes`: what is said by the program that traces: marks,
failures, lines of logs. `follower`: the output of a program. `redaction`: what of all that is kept secret.
"""
