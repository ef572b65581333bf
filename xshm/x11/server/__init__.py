"""What a server reports of itself: formats and colours, screens and monitors, keys, pointer events, damage.

- `visuals`: pixel formats
- `colormap`: colours of indexed pixels
- `screen_size`: the current size of a screen, and its changes
- `screen_resize`: give a screen another size
- `randr`: monitors
- `keysyms`: names and characters of keysyms
- `keyboard`: names and characters of keys, as they come in events
- `keymap`: which key types a character, in which group and with which modifiers
- `resources`: settings that programs read from the root window
- `damage`: events when a drawable is drawn on
- `pointer_events`: events when the pointer moves or its image changes
"""
