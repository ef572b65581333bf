"""Waits on the pixels of a source: for a change, stability, a colour, a picture, or any predicate.

In reading order:

`results`: Change, Stability, Found and Outcome, the values that waits and acts return.
`deadline`: Deadline, the time limit of a wait, and the polls of a ChangeTracker within it.
`rhythm`: whether the changes of one place are a steady rhythm: a caret, a spinner, a clock, a video.
`judge`: which changes of a source count, and since when it has been at rest.
`wait`: the waits themselves, each a loop over the frames of a Deadline.
`act`: an action, and what came of it: a reaction, rest, and lasting changes.
`compare`: where two frames differ, inside the rectangles that were drawn to.
`colour_match`: whether a pixel shows a colour, as the visual's bits have it.
`template`: the picture to search for, loaded from a file, a Pillow image, a Frame or an array.
`closest`: where a picture that was not found comes closest.
`find_image`: search for it, exactly or by OpenCV's matchTemplate.
"""
