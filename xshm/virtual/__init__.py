"""Virtual displays: an X server that is ready when it is made and leaves nothing, its programs, its screens as arrays.

`display`: VirtualDisplay, what a program calls.
`spec`: DisplaySpec, the description of a display; `directories`: where its files may lie, and why not elsewhere.
`start`: start a server in those directories; `supervision`: Supervision, that server until its end; `screens`: the
connections to it.
`framebuffer`: Framebuffer, one screen's memory as an array; `framebuffer_file`: map the file that it is in.
`xwd`: the dump in that memory: header, colours, pixels.
`resizable`: give a screen another size.
`find_framebuffer`: where a server keeps its screens.

`kinds`, `processes`, `servers` and `programs` are packages of their own, below this one.
"""
