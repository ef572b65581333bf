"""The flags of a live view that say who may see it, from where, and how; and what they are in the library.

A secret is read from a file: what is on a command line, every user of the machine can read.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from xshm.cli.options import named, port
from xshm.errors import InvalidArgument
from xshm.system.printable import printable, quoted

_LONGEST: Final = 4096  # bytes of a file with a secret in it that are read


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument(
        "-p", "--port", type=port, default=0, metavar="PORT", help="of the link (default: 0, any that is free)"
    )
    parser.add_argument(
        "--host",
        type=named,
        default="127.0.0.1",
        metavar="ADDRESS",
        help="listen at this address, 0.0.0.0 for all; one that others can reach needs --tls-cert, or --unencrypted "
        "(default: %(default)s, this machine alone)",
    )
    parser.add_argument("--tls-cert", type=named, metavar="FILE", help="a certificate (PEM): the link is https")
    parser.add_argument("--tls-key", type=named, metavar="FILE", help="its key, where that is a file of its own")
    parser.add_argument(
        "--unencrypted",
        action="store_true",
        help="let whoever is on the way read along: for a network that is trusted, a container's, a tunnel",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        type=named,
        default=[],
        metavar="NAME",
        help="answer to this name, too: one by which browsers reach it, a proxy's; addresses and localhost are "
        "answered to anyway; repeatable",
    )
    parser.add_argument(
        "--token-file",
        type=named,
        metavar="FILE",
        help="the link's token is the first line of FILE, 16 characters or more, so that the link stays the same "
        "(default: a new one each time)",
    )
    parser.add_argument(
        "--vnc",
        nargs="?",
        type=_vnc_port,
        const=0,
        metavar="PORT",
        help="let VNC viewers look, too, at this port or any that is free; the password is printed on standard error",
    )
    parser.add_argument(
        "--vnc-password-file",
        type=named,
        metavar="FILE",
        help="the password is the first line of FILE, 6 to 8 characters: VNC takes no more (default: a new one)",
    )
    parser.add_argument("--allow-input", action="store_true", help="let viewers use mouse and keyboard on the display")
    parser.add_argument("--no-video", action="store_true", help="send pictures alone, and never H.264")
    parser.add_argument("--title", type=named, metavar="TEXT", help="of the page (default: the display's name)")


def of_settings(chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the flags as a LiveView takes them. Raises InvalidArgument; OSError of the files with secrets."""
    if chosen.tls_key is not None and chosen.tls_cert is None:
        raise InvalidArgument("--tls-key is the key of a certificate; name that with --tls-cert")
    if chosen.vnc_password_file is not None and chosen.vnc is None:
        raise InvalidArgument("--vnc-password-file is about VNC viewers; add --vnc, or leave it out")
    return {
        "port": chosen.port,
        "host": chosen.host,
        "tls_cert": chosen.tls_cert,
        "tls_key": chosen.tls_key,
        "unencrypted": chosen.unencrypted,
        "allowed_hosts": tuple(chosen.allow_host),
        "token": _secret(chosen.token_file, "--token-file"),
        "vnc_port": chosen.vnc,
        "vnc_password": _secret(chosen.vnc_password_file, "--vnc-password-file"),
        "allow_input": chosen.allow_input,
        "video": not chosen.no_video,
        "title": chosen.title,
    }


def _vnc_port(text: str) -> int:
    if not text.isdecimal():  # `--vnc :99` is meant as --vnc, and the display :99
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no port; write --vnc behind the displays, or --vnc 0")
    return port(text)


def _secret(path: str | None, flag: str) -> str | None:
    """Return the first line of a file, which no message repeats."""
    if path is None:
        return None
    with open(path, "rb") as file:  # noqa: PTH123 - a text, as the user wrote it; errors name it
        line = file.readline(_LONGEST).strip()
    try:
        return named(line.decode("ascii"))
    except (ValueError, argparse.ArgumentTypeError):
        what = "has no first line" if not line else "has a first line of other characters than ASCII"
        raise InvalidArgument(f"{printable(path)} of {flag} {what}; write one, with nothing else") from None
