"""`xshm live`, and `xshm run --live`: what is shown in a browser, by a link that is printed, until somebody ends it.

In reading order:

- `settings`: the flags that say who may see it, and from where.
- `place`: what is to be shown, as it is named; it is opened at the start, and again when it is back.
- `shown`: one of those that a view shows, and its return after its end.
- `attend`: the loop from the link to the end.
- `of_a_run`: the view of `xshm run`.
- `command`: the command's arguments, and what it prints.
"""
