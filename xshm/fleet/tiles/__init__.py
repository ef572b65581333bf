"""Tiles: many pictures as one, each in its place; here is nothing of Ray.

In reading order:

- `grid`: where tiles are
- `drawing`: pictures that fit, and words in place of a picture
- `mosaic`: a live view of pictures that are handed in
"""
