"""Programs of a display as processes: how they and their descendants are started, found and ended.

`process_groups`: processes as proc(5) lists them, process groups, and their end by SIGTERM and SIGKILL.
`descendants`: everything that descends from a program, found by the mark that it inherits.
`program_groups`: the process groups that a supervisor keeps, one for each program.
`error_pipe`: a Popen that leaves no descriptor open where a signal handler raises in the middle of its start.
`marked_fork`: fork a program that has its mark before its first instruction.
`command`: a command as a list of words; scripts without "#!".
`environment`: the variables that lead a program to a display.
"""
