"""Pictures as encoders read them: planes of memory, and the conversion of changed pixels into them.

In reading order:

`picture`: Layout, the planes that a picture consists of, and Picture, the planes of one.
`yuv`: the samples of YUV as whole numbers, which are the same in each converter.
`scale`: pictures scaled down, part by part. `opencv_scale`: the same by OpenCV.
`reader`: boxes of a source's pixels, of any depth, as blue, green, red.
`numpy_planes`, `opencv_planes`, `libav_planes`: blue, green, red written into planes, by three libraries.
`painter`: Painter, which converts changed rectangles into a Picture.
`handover`: Handover, three pictures between two threads, of which the newest wins.
"""
