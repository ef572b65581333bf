"""The kinds of X servers that a virtual display can be: which are installed, what each can do, how each is started.

`installed`: find their programs, and say how they are installed here.
`server_command`: ServerCommand, what is run for a display, whatever its kind.
`kind`: Kind, what all kinds have in common; `xvfb`, `xvnc`, `xwayland`: one each.
`choice`: ServerChoice, which of them a display gets, and why.
"""
