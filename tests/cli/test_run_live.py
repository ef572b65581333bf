"""`xshm run --live`: the link is on standard error, and all else is as it is without."""

from __future__ import annotations

import signal
import subprocess
import urllib.error
import urllib.request

import pytest
from live_links import XSHM, LiveCommand, Opened

from xshm.cli import main

_SMALL = ("--size", "120x80")


def test_a_commands_display_is_shown_until_it_ends_with_its_own_exit_code() -> None:
    words = "env; xsetroot -solid '#c81e3c'; read line; exit 7"
    with LiveCommand("run", *_SMALL, "--live", "--", "sh", "-c", words, stdin=subprocess.PIPE) as command:
        with Opened(command.link) as page:
            assert "xsetroot" in page.title
            page.until(lambda: page.colour() == (200, 30, 60))
        code, out, error = command.rest("\n")
        assert (code, error) == (7, "")
        assert "OPENBLAS" not in out
        assert command.link not in out
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(command.link, timeout=5)  # noqa: S310 - of the command's


def test_a_display_without_a_command_is_shown_until_a_signal_comes() -> None:
    with LiveCommand("run", *_SMALL, "--live", "--port", "0") as command:
        with Opened(command.link) as page:
            page.until(lambda: page.colour() is not None)
        code, out, _ = command.end(signal.SIGTERM)
    assert code == 0
    assert out.startswith("DISPLAY=:")


def test_a_command_that_is_not_there_is_an_error_as_without() -> None:
    done = subprocess.run(
        [*XSHM, "run", *_SMALL, "--live", "--", "./nonsense"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (127, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--port 5 -- true", "add --live"),
        ("--live --port 1234567 -- true", "no port"),
        ("--live -r 5 -- true", "--framerate"),
    ],
)
def test_what_has_no_effect_is_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main.main(["run", *words.split()])
    except SystemExit as ended:
        code = ended.code  # type: ignore[assignment]
    assert code == 2
    assert said in capsys.readouterr().err
