"""One X server with its supervisor: started so that a kill of any of its processes at any moment leaves nothing.

Four processes: the owner (the application), a shell that waits, the supervisor below it, and the server below that.
A server that needs a compositor has that as a fifth one, beside it.

`server`: the owner's end: start a server, give programs process groups, end all of it.
`control_socket`: questions to the supervisor, and its answers, over a socket.
`launch`: start shell, supervisor and server in one step; `launch_script`: the shell's script, step by step.
`supervisor`: the process beside the server, its parent, which removes all that is left of it.
`compositor`: start a server with its compositor.
`parent_death_signal`: a server gets SIGTERM when its supervisor has ended.
`server_files`: private directories, authority file, socket, framebuffers and segments, and whose they are.
`cleanup`: remove what killed displays have left.
`server_log`: the file that a server's messages go to; `log_tee`: their copy to a terminal or a pipe.
"""
