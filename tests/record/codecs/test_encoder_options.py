"""An encoder's options are checked before anything is opened, and reach the encoder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import videos

from xshm import InvalidArgument, InvalidType
from xshm.record.codecs import table
from xshm.record.libav.encoder import Encoder
from xshm.record.libav.sink import LibavSink
from xshm.record.sinks.settings import Settings
from xshm.system.replacement import Replacement

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server


def encoder(name: str, options: dict[str, Any], quality: Any = "screen") -> Encoder:
    codec, _ = table.find(name, quality)
    return Encoder(codec, (64, 48), Settings(options=options, quality=quality))


@pytest.mark.parametrize(
    ("codec", "options", "said"),
    [
        ("h264", {"crf": 9999}, "crf of libx264 is a number from 0 to 51; not '9999'"),
        ("h264", {"crf": "-1"}, "crf of libx264 is a number from 0 to 51; not '-1'"),
        ("h264", {"crf": "sharp"}, "crf of libx264 is a number from 0 to 51; not 'sharp'"),
        ("h264", {"crf": float("nan")}, "crf of libx264 is a number from 0 to 51; not nan"),
        ("h264", {"bf": 1.5}, "bf of libx264 is a whole number from 0 to 16; not '1.5'"),
        ("h264", {"crff": 20}, "libx264 has no option 'crff'; near it are crf"),
        ("h264", {"bitrate": "2M"}, "libx264 has no option 'bitrate'; it is b, in bits a second: '2M'"),
        ("vp9", {"b:v": "2M"}, "libvpx-vp9 has no option 'b:v'; it is b, in bits"),
        ("h264", {"fps": 30}, "libx264 has no option 'fps'; it is none of the encoder's but the recording's own: fps"),
        ("h264", {"pix_fmt": "yuv420p"}, "it is chosen by the recording's quality: screen, small, lossless"),
        ("h264", {"-crf": 20}, "libx264 has no option '-crf'; near it are crf"),
        ("h264", {"preset": "fats"}, "preset of libx264 is one of ultrafast, superfast"),
        ("h264", {"tune": "film,fats"}, "tune of libx264 is one of film"),
        (
            "h264",
            {"aq-mode": "variences"},
            "aq-mode of libx264 is a whole number from 0 to 3, or one of none, variance",
        ),
        ("h264", {"profile": "high"}, "has no 4:4:4; quality='small' has 4:2:0"),
        ("h264", {"g": 30}, "g is set by the recording itself"),
        ("h264", {"weightb": "perhaps"}, "weightb of libx264 is True or False; not 'perhaps'"),
        ("h264", {"x264-params": "foo=1"}, "does not take x264-params 'foo=1': Error parsing option 'foo = 1'"),
        (
            "h264",
            {"x264-params": "ref=2:qp= 900"},
            "'qp' in x264-params of libx264 is a number from 0 to 51; not '900'",
        ),
        ("h264", {"x264opts": "rc_lookahead=999"}, "'rc_lookahead' in x264opts of libx264 is a number from 0 to 250"),
        ("x264rgb", {"x264-params": "bframes=-1"}, "'bframes' in x264-params of libx264rgb is a number from 0 to 16"),
        ("h265", {"x265-params": "qp=900"}, "does not take x265-params 'qp=900': x265 [error]: QP exceeds supported"),
        ("h265", {"x265-params": "foo=1"}, "does not take x265-params 'foo=1': Unknown option: foo"),
        (
            "h265",
            {"bf": 4, "x265-params": "rc_lookahead=4"},
            "'rc-lookahead' in x265-params of libx265 is above the B-frames in a row, 4, or left out; not '4'",
        ),
        ("av1", {"svtav1-params": "foo=1"}, "does not take svtav1-params 'foo=1': Error parsing option foo: 1"),
        ("vp9", {"deadline": "god"}, "deadline of libvpx-vp9 is a whole number, or one of best, good, realtime"),
        ("vp9", {"cpu-used": 9}, "cpu-used of libvpx-vp9 is a whole number from -8 to 8"),
        ("av1", {"crf": 64}, "crf of libsvtav1 is a whole number from 1 to 63; not '64'"),
        ("mpeg4", {"qmin": 40}, "qmin of mpeg4 is a whole number from 1 to 31; not '40'"),
        ("h264", {"crf": "2\0"}, "crf of libx264 is a number"),
    ],
)
def test_an_option_that_the_encoder_would_ignore_or_clamp_is_refused(
    codec: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(said)):
        encoder(codec, options)


def test_options_of_other_types_are_refused() -> None:
    with pytest.raises(InvalidType, match="crf of libx264 is a text or a number, not list"):
        encoder("h264", {"crf": [20]})
    with pytest.raises(InvalidType, match="an option's name is a text, not int"):
        encoder("h264", {3: 20})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("h264", {"crf": 17.5, "preset": "veryfast", "tune": "animation,zerolatency", "aq-mode": "variance"}),
        ("h264", {"b": "2M", "maxrate": "4M", "bufsize": "8M", "weightb": False, "threads": "auto"}),
        ("h264", {"x264-params": "scenecut=0:ref=2:crf=51:aq_mode=3:8x8dct=1"}),
        ("h265", {"x265-params": "ref=2"}),
        ("h265", {"bf": 2}),
        ("h265", {"bf": 2, "preset": "medium"}),
        ("h265", {"x265-params": "bframes=2"}),
        ("h265", {"bf": 2, "x265-params": "rc-lookahead=3"}),
        ("h265", {"bf": 16, "tune": "grain"}),
        ("h265", {"bf": 16, "tune": "grain", "preset": "veryfast"}),
        ("h265", {"bf": 16, "tune": "grain", "preset": "medium"}),
        ("av1", {"svtav1-params": "pred-struct=1:scm=1", "preset": 10}),
        ("vp9", {"deadline": "good", "error-resilient": "default", "row-mt": True}),
    ],
)
def test_what_the_encoder_takes_is_taken(codec: str, options: dict[str, Any]) -> None:
    made = encoder(codec, options)
    assert made.encode(made.new_picture(), 0, ()) + made.finish()


def test_options_reach_the_encoder(tmp_path: Path) -> None:
    sizes = []
    for crf in (5, 40):
        path = tmp_path / f"{crf}.mp4"
        sink = LibavSink(Replacement(path), (192, 96), Settings(options={"crf": crf}, format="mp4"))
        videos.record(sink, [videos.noise(192, 96, seed) for seed in range(3)])
        sizes.append(path.stat().st_size)
        assert f"crf={crf}.0".encode() in path.read_bytes()  # x264 writes its settings into the first packet
    assert sizes[0] > 3 * sizes[1]


def test_a_bit_rate_takes_the_place_of_the_usual_quality() -> None:
    assert not {"crf", "qp"} & encoder("h264", {"b": "1M"}).options.keys()


@pytest.mark.parametrize(
    ("options", "constant"),
    [
        ({}, True),
        ({"preset": "ultrafast", "profile": "high444", "threads": 2}, True),
        ({"qp": 30}, True),
        ({"preset": "veryfast"}, False),
        ({"crf": 20}, False),
        ({"maxrate": "4M", "bufsize": "8M"}, False),
        ({"qmax": 40}, False),
        ({"x264-params": "qcomp=0.8"}, False),
    ],
)
def test_x264_has_one_quality_for_all_pictures_unless_an_option_needs_its_rate_control(
    tmp_path: Path, options: dict[str, Any], constant: bool
) -> None:
    path = tmp_path / "video.mp4"
    videos.record(
        LibavSink(Replacement(path), (64, 48), Settings(options=options, format="mp4")), [videos.noise(64, 48, 1)]
    )
    # x264 writes its settings into the first packet.
    assert (b"rc=cqp" in path.read_bytes(), b"rc=crf" in path.read_bytes()) == (constant, not constant)


def test_encoders_are_quiet_on_standard_error() -> None:
    program = (
        "from xshm.record.codecs import table\nfrom xshm.record.libav.encoder import Encoder\n"
        "from xshm.record.sinks.settings import Settings\n"
        "for name in ('h264', 'h265', 'vp8', 'vp9', 'av1', 'ffv1', 'mpeg4', 'mjpeg'):\n"
        "    made = Encoder(table.find(name, 'screen')[0], (64, 48), Settings())\n"
        "    made.encode(made.new_picture(), 0, ())\n"
        "    if name != 'vp8': made.finish()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stderr == done.stdout == ""


@pytest.mark.parametrize("name", ["h264", "x264rgb", "h265", "vp8", "vp9", "av1", "ffv1", "mjpeg", "mpeg4", "prores"])
def test_an_encoder_may_be_dropped_while_it_holds_pictures(name: str) -> None:
    # In a process of its own: what goes wrong here waits for ever, with the interpreter's lock held.
    options = "{'tune': 'film', 'bf': 3, 'preset': 'medium'}" if name == "h264" else "{}"
    program = (
        "from xshm.record.codecs import table\nfrom xshm.record.libav.encoder import Encoder\n"
        "from xshm.record.sinks.settings import Settings\n"
        f"made = Encoder(table.find({name!r}, 'screen')[0], (64, 48), Settings(options={options}))\n"
        "for number in range(5): made.encode(made.new_picture(), number * 10**8, ())\n"
        "del made\nprint('dropped')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "dropped\n"


_FEW_PICTURES = """
import sys, time, xshm
from xshm.errors import XshmError
screen = xshm.Screen()
recorder = screen.record("a.mp4", codec="h265", options={"bf": 4}, region=(0, 0, 160, 120))
recorder.start()
time.sleep(0.1)
try:
    recorder.stop()
except XshmError as error:
    print("as x265 does with B-frames" in str(error))
else:
    print("whole")
"""


def test_x265_s_times_of_few_pictures_do_not_end_the_program(xvfb: Server, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _FEW_PICTURES]
    done = subprocess.run(words, cwd=tmp_path, env=os.environ | xvfb.env(), capture_output=True, text=True, check=True)
    assert done.stdout in ("True\n", "whole\n")
