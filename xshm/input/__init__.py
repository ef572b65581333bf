"""Clicks and keys by XTEST, over a Screen's own connection: no process is started for them.

The verbs that users call are in `drawables`, a layer above. Names of keys are those of xdotool and of X's keysyms.

In reading order:

- `names`: "ctrl+shift+s", "left", and texts, as keysyms and numbers
- `batch`: input that is sent together, all of it or nothing; keys in their groups, with their modifiers
- `lending`: keycodes that are lent to characters which no key has
- `keys`: the keys that type a text or a chord
- `device`: the pointer and the keyboard of one connection
"""
