"""`xshm info`: the server, its pixel format, and the transport that was chosen, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xshm.cli.options import add_query, on_screen
from xshm.cli.output import print_json
from xshm.system.printable import printable

if TYPE_CHECKING:
    import argparse

    from xshm.drawables.screen import Screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_query(parser, "as JSON")


def main(chosen: argparse.Namespace) -> int:
    """Print a line for each fact, or all of them as one JSON object; return 0."""
    facts = on_screen(chosen, _facts)
    if chosen.json:
        print_json(facts)
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):{width}}  {_in_words(value)}")
    return 0


def _facts(screen: Screen) -> dict[str, Any]:
    from xshm.pixels.to_rgb import converters  # noqa: PLC0415 - not needed for --help

    # The names are those of JSON, and with spaces those of the table: a program may depend on them.
    connection, transport, fmt = screen.connection, screen.transport, screen.format
    return {
        "display": screen.display,
        "address": connection.address,
        "server": f"{connection.info.vendor}, release {connection.info.release_number}",
        "screen": f"{screen.rect.width}x{screen.rect.height}",
        "depth": fmt.depth,
        "bits_per_pixel": fmt.bits_per_pixel,
        "format": str(fmt),
        "stride": fmt.stride(screen.rect.width),
        "transport": transport.kind,
        "reason": transport.reason,
        "mit_shm": f"{transport.version[0]}.{transport.version[1]}" if transport.version else None,
        "shared_pixmaps": transport.shared_pixmaps,
        "max_frames": screen.max_frames,
        "longest_request": 4 * connection.info.max_request_length,  # bytes; the protocol counts words of four
        "converter": converters(),
    }


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_in_words(each)}" for name, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else printable(str(value))
