"""What is said in a trace: lines of logs and of programs, and what is kept secret of them."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from descriptors import new_descriptors, open_descriptors
from programs import eventually

import xshm
from xshm.errors import InvalidArgument, InvalidType
from xshm.trace.noting import follower as follower_module
from xshm.trace.noting.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


@pytest.fixture
def trace(screen: xshm.Screen) -> Iterator[xshm.Trace]:
    """Give a trace of a few pixels."""
    with screen.trace(keep_last=60, region=(0, 0, 30, 20)) as trace:
        yield trace


def _lines(trace: xshm.Trace, source: str | None = None) -> list[str]:
    return [each.text for each in trace.reader().log if source in (None, each.source)]


def test_each_line_of_a_text_is_one_at_its_time(trace: xshm.Trace) -> None:
    before = trace.duration
    trace.log("one\ntwo\r\n", source="mine", level="INFO")
    trace.log("", source="mine")
    after = trace.duration
    found = trace.reader().log
    assert [(each.text, each.source, each.level) for each in found] == [
        ("one", "mine", "INFO"),
        ("two", "mine", "INFO"),
        ("", "mine", ""),
    ]
    assert before <= found[0].seconds <= found[-1].seconds <= after
    with pytest.raises(InvalidType):
        trace.log(b"bytes")  # type: ignore[arg-type]


def test_a_handler_keeps_what_is_logged_as_it_formats_it(trace: xshm.Trace) -> None:
    logger = logging.getLogger("xshm-test.part")
    handler = trace.handler(logging.INFO)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        logger.debug("too little")
        logger.warning("number %d", 5)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        try:
            int("no number")
        except ValueError:
            logger.exception("it failed")
    finally:
        logger.removeHandler(handler)
    found = trace.reader().log
    assert [each.text for each in found[:3]] == ["number 5", "ERROR it failed", "Traceback (most recent call last):"]
    assert found[-1].text.startswith("ValueError: invalid literal")
    assert {(each.source, each.level) for each in found} == {
        ("xshm-test.part", "WARNING"),
        ("xshm-test.part", "ERROR"),
    }


def test_a_handler_outlives_its_trace(screen: xshm.Screen) -> None:
    with screen.trace(keep_last=60, region=(0, 0, 30, 20)) as trace:
        handler = trace.handler()
    handler.handle(logging.makeLogRecord({"msg": "too late"}))
    assert _lines(trace) == []


@pytest.mark.parametrize("text", [False, True])
def test_both_pipes_of_a_program_are_followed_line_by_line(trace: xshm.Trace, text: bool) -> None:
    script = "import sys; print('out', flush=True); print('err', file=sys.stderr); input(); print('the end', end='')"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=text, **_PIPES) as program:
        trace.follow(program, "counter")
        assert eventually(lambda: sorted(_lines(trace)) == ["err", "out"])
        before = trace.duration
        assert program.stdin is not None
        program.stdin.write("\n" if text else b"\n")
        program.stdin.close()
        program.wait()
        assert eventually(lambda: _lines(trace)[-1] == "the end")  # without a line's end
        assert trace.reader().log[-1].seconds > before
    assert {each.source for each in trace.reader().log} == {"counter"}


def test_what_was_written_before_the_end_is_in_the_trace(screen: xshm.Screen) -> None:
    for _ in range(10):
        with (
            screen.trace(keep_last=60, region=(0, 0, 30, 20)) as trace,
            subprocess.Popen(["sh", "-c", "echo first; echo last"], **_PIPES) as program,
        ):
            trace.follow(program)
            program.wait()
        assert _lines(trace, "sh") == ["first", "last"]


def test_the_standard_error_of_a_launched_program_is_followed_and_kept() -> None:
    command = ["sh", "-c", "echo one >&2; xclock -geometry 50x50; echo two >&2; sleep 9"]
    with (
        xshm.VirtualDisplay(200, 150) as display,
        display.screen.trace(keep_last=60) as trace,
        display.launch(command) as program,
    ):
        trace.follow(program)
        assert _lines(trace, "sh")[0] == "one"
        subprocess.run(["xkill", "-id", str(program.window)], env=display.env(), check=True, capture_output=True)
        assert eventually(lambda: _lines(trace, "sh")[-1] == "two")
        assert program.said().startswith("one\n")


@pytest.mark.parametrize("pipes", [_PIPES, {"stdout": subprocess.PIPE}])
def test_a_program_goes_on_after_the_trace_and_is_not_stopped_by_a_full_pipe(
    screen: xshm.Screen, pipes: dict[str, Any]
) -> None:
    descriptors = open_descriptors()
    script = "input(); print(300_000 * 'x')"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, **pipes) as program:
        with screen.trace(keep_last=60, region=(0, 0, 30, 20)) as trace:
            trace.follow(program)
        assert program.stdin is not None
        program.stdin.write(b"\n")
        program.stdin.close()
        assert program.wait(10) == 0
    # Before anything is read of the trace, which would read the pipes, too: their thread has ended by itself.
    assert eventually(lambda: new_descriptors(descriptors) == {})
    assert _lines(trace) == []


def test_a_flood_is_bounded_and_counted(trace: xshm.Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "_MOST_LINES", 100)
    script = "import time; print('x\\n' * 5000, flush=True); time.sleep(1.1); print('after')"
    with subprocess.Popen([sys.executable, "-c", script], **_PIPES) as program:
        trace.follow(program, "flood")
        program.wait()
    found = _lines(trace)
    assert found[-1] == "after"
    assert len(found) < 300
    assert any(re.fullmatch("… [0-9,]+ more lines in this second", each) for each in found)


def test_a_line_without_an_end_is_cut(trace: xshm.Trace) -> None:
    with subprocess.Popen(["sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x"], **_PIPES) as program:
        trace.follow(program)
        program.wait()
    assert eventually(lambda: _lines(trace) == [10_000 * "x"])


def test_what_can_not_be_followed_is_refused(trace: xshm.Trace) -> None:
    with subprocess.Popen(["true"]) as program, pytest.raises(InvalidArgument, match=r"stdout=subprocess\.PIPE"):
        trace.follow(program)
    with pytest.raises(InvalidType):
        trace.follow("xterm")  # type: ignore[arg-type]


def test_a_pattern_is_hidden_wherever_text_is_kept(screen: xshm.Screen) -> None:
    patterns: list[str | re.Pattern[str]] = [re.compile("pass(word|phrase)"), r"token=\w+", "x*"]
    with screen.trace(keep_last=60, region=(0, 0, 30, 20), redact=patterns, title="my password") as trace:
        trace.mark("the passphrase")
        trace.failure("token=abc", "line 1\npassword: 1", "password.py")
        trace.log("a token=12 b", source="token=5")
        with subprocess.Popen(["sh", "-c", "echo xxtoken=abcd"], **_PIPES) as program:
            trace.follow(program)
            program.wait()
    reader = trace.reader()
    assert reader.title == "my █████"
    assert [each.title for each in reader.marks] == ["the █████", "█████"]
    assert reader.marks[1].text == "line 1\n█████: 1"
    assert [each.text for each in reader.log] == ["a █████ b", "██████████"]
    raw = b"".join(each.payload for each in (trace._engine.kept() if trace._engine is not None else []))
    assert raw
    for secret in (b"password", b"passphrase", b"abc", b"token"):
        assert secret not in raw


def test_texts_are_regions_where_they_can_be(screen: xshm.Screen) -> None:
    redaction = Redaction(["20x10+5+6", "10,20 30x40", "30x20-0-0", (1, 2, 3, 4), "word"], screen)
    within = redaction.within(screen.rect.from_ltrb(5, 5, 100, 100))
    assert [(each.x, each.y, each.width, each.height) for each in within] == [
        (0, 1, 20, 10),
        (5, 15, 30, 40),
        (screen.width - 35, screen.height - 25, 30, 20),
        (-4, -3, 3, 4),
    ]
    assert redaction.clean("a word, 20x10+5+6") == "a █████, 20x10+5+6"


def test_many_threads_may_say_something_at_once(trace: xshm.Trace) -> None:
    def say(number: int) -> None:
        for count in range(200):
            trace.log(f"{number} {count}")

    threads = [threading.Thread(target=say, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found = trace.reader().log
    assert len(found) == 800
    assert [each.seconds for each in found] == sorted(each.seconds for each in found)
    for number in range(4):
        said = [each.text for each in found if each.text.startswith(f"{number} ")]
        assert said == [f"{number} {count}" for count in range(200)]


def test_half_a_surrogate_is_told_by_its_name_and_hides_nothing_else(screen: xshm.Screen, tmp_path: Path) -> None:
    path = os.fsdecode(b"caf\xe9.py")
    with (
        contextlib.suppress(ValueError),
        screen.trace(tmp_path / "trace.html", region=(0, 0, 30, 20)) as trace,
    ):
        trace.mark("before")
        trace.failure("no such file", file=path)
        trace.handler().emit(logging.makeLogRecord({"msg": "open %s", "args": (path,), "name": "n"}))
        raise ValueError("\ud800")
    reader = xshm.Trace.open(tmp_path / "trace.html")
    assert [(each.title, each.file) for each in reader.marks] == [
        ("before", None),
        ("no such file", r"caf\udce9.py"),
        (r"ValueError: \ud800", __file__),
    ]
    assert [each.text for each in reader.log] == [r"open caf\udce9.py"]


def test_a_secret_is_hidden_though_it_goes_over_lines_or_the_end_of_what_is_kept(screen: xshm.Screen) -> None:
    patterns: list[str | re.Pattern[str]] = [re.compile(r"BEGIN.*?END", re.DOTALL), r"\d{16}"]
    with screen.trace(keep_last=60, region=(0, 0, 30, 20), redact=patterns) as trace:
        trace.log("a BEGIN\nkey\nEND b")
        trace.handler().emit(logging.makeLogRecord({"msg": "BEGIN\nkey\nEND"}))
        trace.log("x" * 9990 + "1234567812345678")
    assert _lines(trace) == ["a █████ b", "█████", "x" * 9990 + "█████"]


def test_a_program_that_writes_without_a_pause_holds_up_nothing(trace: xshm.Trace) -> None:
    with subprocess.Popen(["yes"], **_PIPES) as program:
        late = threading.Timer(8, program.kill)
        late.start()
        assert program.stdout is not None
        assert select.select([program.stdout], [], [], 5)[0]
        before = time.monotonic()
        trace.follow(program)
        found = _lines(trace)
        after = time.monotonic()
        late.cancel()
        program.kill()
    seconds = int(after) - int(before) + 1  # of the clock, that it has touched
    assert 0 < len(found) <= seconds * 2001  # the lines that are kept, and how many more there were
    assert after - before < 4


def test_long_lines_of_a_flood_are_bounded_by_their_length_too(trace: xshm.Trace) -> None:
    script = "for _ in range(3000): print(9000 * 'x')"
    with subprocess.Popen([sys.executable, "-c", script], **_PIPES) as program:
        trace.follow(program)
        program.wait()
    found = _lines(trace)
    assert sum(map(len, found)) < 4_000_000


def test_what_is_left_out_of_a_flood_is_told_at_the_end(screen: xshm.Screen) -> None:
    script = "for _ in range(3000): print(9000 * 'x')"
    with screen.trace(keep_last=60) as trace, subprocess.Popen([sys.executable, "-c", script], **_PIPES) as program:
        trace.follow(program)
        program.wait()
    told = [re.fullmatch("… ([0-9,]+) more lines in this second", each) for each in _lines(trace)]
    left_out = sum(int(each[1].replace(",", "")) for each in told if each is not None)
    assert left_out + sum(each is None for each in told) == 3000


def test_a_line_without_an_end_is_kept_when_the_trace_ends(screen: xshm.Screen) -> None:
    with subprocess.Popen(
        ["sh", "-c", "printf 'hello\\nPassword: '; read x"], stdin=subprocess.PIPE, **_PIPES
    ) as program:
        with screen.trace(keep_last=60, region=(0, 0, 30, 20)) as trace:
            trace.follow(program)
            assert program.stdin is not None
            assert eventually(lambda: _lines(trace) == ["hello"])
        program.stdin.close()
    assert _lines(trace) == ["hello", "Password: "]
