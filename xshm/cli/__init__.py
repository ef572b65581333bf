"""The command `xshm`, over the library's public names.

In reading order:

- `main`: the parser, the exit codes, what an error ends in.
- `options`: flags and values that several commands have.
- `error_line`: an error of the library as one line in terms of flags.
- `output`: tables, JSON, and names of files by date.
- `selection`: a region that a person chooses.
- `standard_streams`: standard input, output and error that may be closed, full or slow.
- `recording`: how a recording is begun, attended to and ended.
- `commands`: a module for each command, but for three: `live` shows a screen in a browser, `doctor` finds out what is
  wrong, `shell` has what completes the command line, and defaults of options from the environment.
- `mirror`: the loop of `xshm view`.
- `run_options`, `job_control`, `orphans`, `last_picture`: what `xshm run` is made of.
"""
