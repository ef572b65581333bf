"""Operating system services for all layers: deadlines, limits, polling, files that are replaced, text and pages.

Files, in reading order:
- `printable`: untrusted text in one line of a message;
- `logs`: log records, for programs that use `logging`;
- `limits`: errors about the limits on open files and processes, explained;
- `polling`: waiting for descriptors by poll(2);
- `deadlines`: a thread's deadline for the replies to its requests;
- `user_namespace`: the overflow uid, which several users may share;
- `scheduling`: undo what a library does to the priority of threads;
- `closing`: `with` for what has `close`;
- `atomic_write`: files that are written whole or not at all;
- `replacement`: a file that is written over time, and gets its name late;
- `html_page`: a page that needs nothing else.
"""
