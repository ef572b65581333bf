"""Recordings from the command line: how one is begun, attended to and ended.

In reading order:

- `destination`: the name of the file, and what keeps another file of that name from being overwritten.
- `opened`: targets whose file is open already, so that its name is chosen late.
- `endings`: signals that end, save or suspend.
- `keyboard`: the terminal's keys, and its modes.
- `progress`: the line of numbers on a terminal.
- `replay`: the files of --keep-last.
- `attend`: the loop from the first picture to the last.
- `of_a_run`: the recording of `xshm run`.
- `of_a_trace`: the trace of `xshm run`, and one that is attended to.
- `kept`: both of a run.
- `one_thread`: numpy and OpenCV without threads of their own.
"""
