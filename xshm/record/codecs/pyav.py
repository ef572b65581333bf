"""PyAV, which is an extra and takes longer to import than all the rest: only where something is encoded."""

from __future__ import annotations

from typing import Any

from xshm.errors import MissingExtra


def libav() -> Any:
    """Return the package `av`, or raise MissingExtra."""
    try:
        import av  # noqa: PLC0415 - heavy, and an extra
    except ImportError as error:
        raise MissingExtra(
            "a video of this kind needs PyAV: pip install 'xshm[video]'; .apng, .gif, .webp and y4m need nothing"
        ) from error
    return av
