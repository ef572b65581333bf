"""The command `xshm`, over the library's public names.

In reading order:

- `main`: the parser, the exit codes, what an error ends in.
- `options`: flags and values that several commands have.
- `error_line`: an error of the library as one line in terms of flags.
- `output`: tables and JSON.
- `standard_streams`: standard input, output and error that may be closed, full or slow.
- `commands`: a module for each command.
- `mirror`: the loop of `xshm view`.
- `run_options`, `job_control`, `orphans`, `last_picture`: what `xshm run` is made of.
"""
