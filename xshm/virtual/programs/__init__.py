"""The programs of a display: each is started in a group of its own, waited for until its window is painted, and ended.

`program`: Program, a subprocess.Popen that ends with its display.
`program_window`: wait for a program's window, until it is painted and at rest.
`program_list`: the programs of one display, and the wait for one that ends it where no window comes.
"""
