"""The plugin's options, and its ini names: "--xshm-" and "xshm_" before the same words. An option wins.

Always true: nothing is imported here, since every run of pytest loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# The word, what it takes, and what it is for.
_WORDS = (
    ("display", "auto|new|:N", "auto: the one in $DISPLAY, where there is one that works, else a new one"),
    ("size", "WxH", "pixels of a display that is started (1280x800)"),
    ("depth", "BITS", "bits a pixel of a display that is started: 8, 15, 16, 24 or 30 (24)"),
    ("screenshot", "WHEN", "keep a picture of the screen: off, on or only-on-failure"),
    ("trace", "WHEN", "keep a trace of the test: off, on or retain-on-failure"),
    ("video", "WHEN", "keep a video of the test: off, on or retain-on-failure (needs xshm[video])"),
    ("output", "DIR", "where they are kept (test-results)"),
    ("profile", "NAME", "stable: carets don't blink, animations are off, fonts and scale are fixed"),
)


def add(parser: pytest.Parser) -> None:
    """Add the options and ini names."""
    group = parser.getgroup("xshm", "displays for GUI tests, and what is left of those that fail (xshm)")
    for word, values, what in _WORDS:
        group.addoption(f"--xshm-{word}", default=None, metavar=values, help=what)
        parser.addini(f"xshm_{word}", f"{what}; as --xshm-{word}", default=None)
    group.addoption(
        "--xshm-update", action="store_true", help="write the pictures that assert_screenshot compares with, anew"
    )


def given(config: pytest.Config) -> dict[str, str]:
    """Return the values that were given, by their words; {} where the plugin was not asked for anything."""
    found = {}
    for word, _, _ in _WORDS:
        option = config.getoption(f"--xshm-{word}")
        value = config.getini(f"xshm_{word}") if option is None else option
        if value:
            found[word] = str(value)
    return found
