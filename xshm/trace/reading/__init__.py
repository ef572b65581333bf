"""What a trace's records are to a reader; all know nothing of how they are written.

In reading order:

- `checks`: whether a file holds what the format says
- `events`: marks, windows, the pointer, lines and inputs
- `canvas`: the pictures as pixels
- `history`: when a region changes
"""
