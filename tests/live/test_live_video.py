"""H.264 of a live view: what ffmpeg's decoder makes of it, how large it is, and who gets a key."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from video_scenes import COLOURS, FAST, LARGE, SIZE, SLOW, Scene, number_in, taken

from xshm.errors import InvalidArgument
from xshm.geometry import Rect
from xshm.live import video
from xshm.live.encoding import Ask
from xshm.live.messages import Codec
from xshm.live.video import VideoEncoder, VideoViewer
from xshm.record.codecs import table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xshm.live.messages import Update

av: Any = pytest.importorskip("av")


class Decoder:
    """ffmpeg's decoder, as a page would use it."""

    def __init__(self) -> None:
        self.context = av.CodecContext.create("h264", "r")
        self.context.flags |= 1 << 19  # low delay

    def show(self, update: Update) -> NDArray[np.uint8]:
        for part in update.parts:
            (frame,) = self.context.decode(av.Packet(part.data))
        width, height = update.size
        return np.asarray(frame.to_ndarray(format="rgb24"))[:height, :width]


def kinds(update: Update) -> list[Codec]:
    return [part.codec for part in update.parts]


# -- frames ------------------------------------------------------------------------------------------------------------


def test_each_frame_is_decoded_as_soon_as_it_is_there() -> None:
    scene, decoder = Scene(), Decoder()
    viewer = VideoViewer(VideoEncoder())
    for number in range(1, 40):
        scene.number(number)
        found = taken(viewer, scene, FAST)
        assert kinds(found.update) == [Codec.H264_KEY if number == 1 else Codec.H264_DELTA]
        assert (found.generation, found.lossy, found.exact) == (scene.picture.generation, (Rect(0, 0, *SIZE),), ())
        assert found.update.changed_ns == scene.at
        assert number_in(decoder.show(found.update)) == number


@pytest.mark.parametrize("rate", [FAST, 1e5, 3e4])
def test_colours_are_right_at_each_scale(rate: float) -> None:
    scene, decoder = Scene((641, 401)), Decoder()
    scene.bars()
    viewer = VideoViewer(VideoEncoder())
    frame = decoder.show(taken(viewer, scene, rate).update)
    height, width = frame.shape[:2]
    for at, colour in enumerate(COLOURS):
        found = frame[height // 2, (2 * at + 1) * width // (2 * len(COLOURS))]
        assert np.abs(found.astype(int) - colour).max() <= (3 if rate == FAST else 6), (colour, found)


def test_frames_take_what_the_line_takes() -> None:
    for rate in (SLOW, 2e5, 6e4):
        scene = Scene((1280, 800))
        viewer = VideoViewer(VideoEncoder())
        sizes = []
        for number in range(1, 25):
            scene.number(number)
            sizes.append(taken(viewer, scene, rate).update.nbytes)
        assert max(sizes) <= rate * 0.07 * 1.1, "keys as well"
        assert np.mean(sizes) >= rate * 0.07 * 0.2, "the line is used"


def test_viewers_at_the_same_rate_share_frames() -> None:
    scene, encoder = Scene(), VideoEncoder()
    viewers = [VideoViewer(encoder) for _ in range(20)]
    for number in range(1, 6):
        scene.number(number)
        updates = {bytes(taken(each, scene, FAST).update.parts[-1].data) for each in viewers}
        assert len(updates) == 1
    assert encoder.encoded == 5


def test_who_comes_late_begins_with_a_key_and_others_go_on() -> None:
    scene, encoder = Scene(), VideoEncoder()
    first, late = VideoViewer(encoder), VideoViewer(encoder)
    decoders = [Decoder(), Decoder()]
    for number in range(1, 30):
        scene.number(number)
        for viewer, decoder in zip([first, late] if number > 15 else [first], decoders, strict=False):
            update = taken(viewer, scene, FAST).update
            if number == 1 or (viewer is late and number == 16):
                assert kinds(update) == [Codec.H264_KEY]
            assert number_in(decoder.show(update)) == number
    assert encoder.encoded <= 31


def test_a_slow_viewer_gets_the_newest_and_costs_a_fast_one_nothing() -> None:
    """Both at the same rung: the slow one takes every fifth, then every twentieth picture."""
    scene, encoder = Scene(), VideoEncoder()
    fast, slow = VideoViewer(encoder), VideoViewer(encoder)
    decoders = Decoder(), Decoder()
    keys = 0
    for number in range(1, 300):
        scene.number(number)
        update = taken(fast, scene, FAST).update
        keys += Codec.H264_KEY in kinds(update)
        assert number_in(decoders[0].show(update)) == number
        if number % (5 if number < 60 else 20) == 0:
            update = taken(slow, scene, FAST).update
            assert number_in(decoders[1].show(update)) == number
            assert update.nbytes < 1 << 21
    assert keys <= 5, "the fast one gets no keys for the slow one's sake"


def test_what_was_broken_begins_anew() -> None:
    scene, viewer = Scene(), VideoViewer(VideoEncoder())
    for number in range(1, 12):
        scene.number(number)
        taken(viewer, scene, FAST)
    found = taken(viewer, scene, FAST, Ask(0, is_large=True))
    assert kinds(found.update)[0] is Codec.H264_KEY
    assert number_in(Decoder().show(found.update)) == 11


def test_another_size_is_another_video() -> None:
    encoder = VideoEncoder()
    viewer, decoder = VideoViewer(encoder), Decoder()
    for size in ((640, 400), (333, 301), (802, 602)):
        scene = Scene(size)
        for number in (3, 4, 5):
            scene.number(number)
            update = taken(viewer, scene, FAST).update
            assert (kinds(update)[0] is Codec.H264_KEY) == (number == 3)
            assert update.size == size
            assert number_in(decoder.show(update)) == number


def test_a_rate_that_wavers_does_not_change_the_rung() -> None:
    scene, viewer = Scene(), VideoViewer(VideoEncoder())
    keys = 0
    for number in range(1, 60):
        scene.number(number)
        keys += Codec.H264_KEY in kinds(taken(viewer, scene, SLOW * (1 + 0.15 * (-1) ** number)).update)
    assert keys == 1


def test_without_viewers_no_encoder_is_kept() -> None:
    scene, encoder = Scene(), VideoEncoder()
    viewer = VideoViewer(encoder)
    scene.number(1)
    taken(viewer, scene, FAST)
    assert encoder.encoded == 1
    del viewer
    assert encoder.encoded == 0


def test_where_it_can_not_be_encoded_pictures_are_sent(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def none(*_: object) -> Any:
        raise InvalidArgument("no codec is named libx264")

    monkeypatch.setattr(table, "find", none)
    scene, encoder = Scene(), VideoEncoder()
    scene.number(1)
    assert VideoViewer(encoder).update(scene.picture, LARGE, FAST) is None
    assert VideoViewer(encoder).update(scene.picture, LARGE, FAST) is None
    assert caplog.text.count("no codec is named libx264") == 1


def test_why_there_is_none_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert video.why_not() == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "xshm[video]" in video.why_not()
