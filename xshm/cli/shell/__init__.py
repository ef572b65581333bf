"""What the command line is to a shell and its user.

In reading order:

- `environment_defaults`: options' defaults from XSHM_… variables.
- `completion`: `xshm completion`, which prints the shell's file out of `files`.

`files` has the completions and the manual, made from the parsers by tests/helpers/shell_files.py, which has to be run
when an option changes; a test says so.
"""
