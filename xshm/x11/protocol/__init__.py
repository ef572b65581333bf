"""The X protocol as bytes: encode requests, decode replies and events. No I/O, no import from `x11.io` or above.

In reading order:

- `xlib`: what is used of python-xlib, which no other file imports
- `requests`: requests with their replies or errors, the ledger of requests in flight, and routes of events
- `decoding`: replies as values, or ServerNonsense; limits to their length
- `core`: the core protocol
- `structures`: what the structures of all extensions begin with
- `mit_shm`: all of MIT-SHM 1.2
- `xfixes`: regions, and the pointer's image
- `xtest`: input that counts as a device's
- `xkb`: the keymap, and locked modifiers and groups
- `edid`: a monitor's model and serial number
- `text_property`: STRING, UTF8_STRING and COMPOUND_TEXT as str
"""
