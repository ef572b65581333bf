"""`xshm doctor`: what is installed, what can be reached, which limits there are, and what mends each of them.

In reading order:

- `fact`: one thing that was found out, and its state.
- `libraries`: Python and the packages that xshm imports.
- `servers`: the programs of virtual displays, and which of them is taken.
- `limits`: shared memory, descriptors, directories, and what the kernel allows.
- `display`: the display of $DISPLAY: connection, cookie, transport, extensions.
- `variables`: XSHM_… in the environment.
- `proof`: a virtual display that is started, drawn on, read and ended.
- `report`: all of that on a terminal, in a file, or as JSON.
- `command`: the command's arguments, and the order of the groups.

Always true: a group that can't be examined is a fact of its own, and the others are examined all the same. So nothing
that may be broken here (numpy, python-xlib, ctypes) is imported before the group that is about it.
"""
