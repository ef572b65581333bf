"""Picture files: encode pixels as PNG, JPEG and Pillow's other kinds, and decode files.

In reading order:

- `encode`: Encoded, a file of any kind, scaled down to a longest edge; Pillow's kinds.
- `jpeg`: JPEG, of a large picture in strips.
- `shrink`: a picture made smaller, in strips.
- `two_threads`: two parts of such work at the same time.
- `png`: PNG by numpy: gray, palette, RGB or RGBA.
- `png_palette`: pictures of at most 256 colours as indices and a palette.
- `png_stdlib`: PNG without numpy, for a process that has not loaded it.
- `png_chunks`: a PNG's chunks and their compression.
- `png_decode`: decode a PNG of our own, to the last bit.
- `reader`: decode a picture file as a viewer shows it.
- `headers`: kind, size, orientation and faults of a picture file, without decoding it.
"""
