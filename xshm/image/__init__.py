"""Pictures as values: frames with their metadata, the pointer, the difference of two pictures.

In reading order:

- `frame`: Frame, pixels with their rectangle, time and format; colours, files and differences of them.
- `cursor`: Cursor, the pointer's image, position and hotspot.
- `difference`: Difference, how many pixels of two pictures differ, and where.
- `dlpack`: the export by numpy's `__array__` and DLPack's `__dlpack__`.
- `read_only_array`: ReadOnlyArray, an array that DLPack exports as a copy.

Picture files are in `xshm.image.files`.
"""
