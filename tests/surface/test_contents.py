"""The contents of a drawable, without a server: pieces of them, and the requests that read their memory."""

from __future__ import annotations

import random

import numpy as np

from xshm.geometry import Rect
from xshm.surface.contents import Contents, ImageSource
from xshm.x11.protocol.requests import Request


def test_a_request_that_was_never_sent_hides_none_that_reads() -> None:
    source = ImageSource(Rect(0, 0, 1, 1), np.zeros((1, 4), np.uint8), 4)
    sent, cut_short = Request(b""), Request(b"")
    sent.serial = 7
    source.add_reader(sent)
    source.add_reader(cut_short)
    assert source.readers() == [sent]
    sent.done = True
    assert source.readers() == []


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
                picture.discard(part, sources[index])
                expected[part.slices][expected[part.slices] == index] = -2
            else:
                picture.put(part, sources[index])
                expected[part.slices] = index
        found = np.full((24, 24), -2)
        for rect, source in picture.parts(whole):
            assert (found[rect.slices] == -2).all()
            found[rect.slices] = -1 if source is None else sources.index(source)
        assert np.array_equal(found, expected)


def test_what_is_unknown_stays_so_when_the_window_grows_and_what_is_new_is_background() -> None:
    before, after = Rect(0, 0, 10, 10), Rect(0, 0, 14, 12)
    source = ImageSource(before, np.zeros((10, 10), np.uint8), 1)
    picture = Contents(before)
    picture.put(before, source)
    picture.discard(Rect(0, 0, 5, 10), source)
    for _ in range(2):  # a signal handler may have it done again
        picture.resize(before, after, has_background=True)
    found = np.full((12, 14), -2)
    for rect, shown in picture.parts(after):
        assert (found[rect.slices] == -2).all()
        found[rect.slices] = -1 if shown is None else 0
    expected = np.full((12, 14), -1)
    expected[:10, :5] = -2
    expected[:10, 5:10] = 0
    assert np.array_equal(found, expected)
