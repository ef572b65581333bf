"""What is known of what a surface shows, without a server: pieces of it, and the requests that read their memory."""

from __future__ import annotations

import random

import numpy as np

from xshm.geometry import Rect
from xshm.surface.contents import Contents, ImageSource, subtract
from xshm.x11.protocol.requests import Request


def test_a_request_that_was_never_sent_hides_none_that_reads() -> None:
    source = ImageSource(Rect(0, 0, 1, 1), np.zeros((1, 4), np.uint8), 4)
    sent, cut_short = Request(b""), Request(b"")
    sent.serial = 7
    source.is_read_by(sent)
    source.is_read_by(cut_short)
    assert source.readers() == [sent]
    sent.done = True
    assert source.readers() == []


def test_subtracting_rectangles_leaves_each_pixel_that_is_outside_once() -> None:
    pick = random.Random(7)
    for _ in range(300):
        rects = [Rect(pick.randrange(20), pick.randrange(20), pick.randint(1, 9), pick.randint(1, 9)) for _ in range(3)]
        left = subtract(rects[:1], *rects[1:])
        seen = np.zeros((30, 30), int)
        for rect in left:
            seen[rect.slices] += 1
        expected = np.zeros((30, 30), int)
        expected[rects[0].slices] = 1
        for hole in rects[1:]:
            expected[hole.slices] = 0
        assert np.array_equal(seen, expected)


def test_a_picture_knows_of_each_pixel_where_it_came_from() -> None:
    pick = random.Random(8)
    whole = Rect(0, 0, 24, 24)
    sources = [ImageSource(whole, np.zeros((24, 24), np.uint8), 1) for _ in range(4)]
    for _ in range(100):
        picture = Contents(whole)
        expected = np.full((24, 24), -1)
        for _ in range(12):
            part = Rect(pick.randrange(16), pick.randrange(16), pick.randint(1, 8), pick.randint(1, 8))
            index = pick.randrange(4)
            if pick.random() < 0.2:
                picture.forget(part, sources[index])
                expected[part.slices][expected[part.slices] == index] = -2
            else:
                picture.put(part, sources[index])
                expected[part.slices] = index
        found = np.full((24, 24), -2)
        for rect, source in picture.parts(whole):
            assert (found[rect.slices] == -2).all()
            found[rect.slices] = -1 if source is None else sources.index(source)
        assert np.array_equal(found, expected)
