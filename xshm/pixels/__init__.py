"""Pixels: their layout in memory, and the conversion of pixels to colours and of colours to pixels.

Nothing here has an X11 connection or a file; functions take arrays, or a `Raster`. In reading order:

- `format`: PixelFormat, the layout: depth, bits per pixel, masks, byte order, scanline pad.
- `raster`: Raster, an array with its format, colormap and width; bands of rows that stay in the cache.
- `channels`: unpack and pack pixel values; extract and scale channels, exact to the last bit.
- `to_rgb`: rgb, bgr, rgba and gray of any format.
- `opencv`: OpenCV as a faster converter of four bytes a pixel.
- `bgrx`: four bytes a pixel to three in one pass of numpy.
- `alpha`: straight and premultiplied alpha.
- `from_rgb`: arrays of colours to pixels of any format.
- `nearest_colour`: the palette entry nearest to a colour.
- `blend`: a cursor's image over pixels of any format.
- `bounding_shape`: which pixels of a window belong to it (SHAPE).
"""
