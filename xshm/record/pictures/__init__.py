"""Pictures as encoders read them: planes of memory, and the conversion of changed pixels into them.

In reading order:

`picture`: Layout, the planes that a picture consists of, and Picture, the planes of one.
"""
