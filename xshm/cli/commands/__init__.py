"""The commands of `xshm`, a module each: `add_arguments` adds its flags to a parser, `main` runs it.

In the order of `xshm --help`: `shot`, `record`, `trace`, `wait`, `diff`, `run`, `view`, `windows`, `monitors`, `info`,
`segments`.
"""
