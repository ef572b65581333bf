"""Recordings from the command line: how one is begun, attended to and ended.

In reading order:

- `destination`: the name of the file, and what keeps another file of that name from being overwritten.
- `endings`: signals that end, save or suspend.
- `keyboard`: the terminal's keys, and its modes.
- `progress`: the line of numbers on a terminal.
- `replay`: the files of --keep-last.
- `attend`: the loop from the first picture to the last.
- `of_a_run`: the recording of `xshm run`.
- `one_thread`: numpy and OpenCV without threads of their own.
"""
