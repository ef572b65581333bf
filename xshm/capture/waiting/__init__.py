"""Waits on the pixels of a source: for a change, stability, a colour, a picture, or any predicate.

In reading order:

`results`: Change, Stability and Found, the values that waits return.
`deadline`: Deadline, the time limit of a wait, and the polls of a ChangeTracker within it.
`wait`: the waits themselves, each a loop over the frames of a Deadline.
`compare`: where two frames differ, inside the rectangles that were drawn to.
`colour_match`: whether a pixel shows a colour, as the visual's bits have it.
`template`: the picture to search for, loaded from a file, a Pillow image, a Frame or an array.
`find_image`: search for it, exactly or by OpenCV's matchTemplate.
"""
