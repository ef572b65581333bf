"""The monitors in mss's order and with its keys: the whole screen first, then RandR's, with what their EDIDs say.

`Screen.monitors` has the primary one first, where mss keeps the server's order; programs count on the latter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from xshm.compat.mss.tools import parse_edid
from xshm.x11.server.randr import MonitorInfo, query_monitors, query_primary_output

if TYPE_CHECKING:
    from xshm.drawables.screen import Screen


def query(screen: Screen) -> list[dict[str, Any]]:
    """Return the whole screen, and each monitor of RandR 1.5: left, top, width, height, and what else is known.

    is_primary; output, the connector ("HDMI-1"); name and unique_id from its EDID.
    """
    connection, whole = screen.connection, screen.rect
    root = connection.setup.root.id
    with connection.decoding("the monitors"):
        known = query_monitors(connection, root)
        # One connector stands for a monitor that has several: the primary one, if it is among them.
        primary = query_primary_output(connection, root) if any(len(each.outputs) > 1 for each in known) else ""
    everything = {"left": whole.x, "top": whole.y, "width": whole.width, "height": whole.height}
    return [everything, *(_described(monitor, primary) for monitor in known)]


def _described(monitor: MonitorInfo, primary: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(zip(("left", "top", "width", "height"), monitor.box, strict=True))
    found["is_primary"] = monitor.primary
    if monitor.outputs:
        at = monitor.outputs.index(primary) if primary in monitor.outputs else 0
        found["output"] = monitor.outputs[at]
        found.update(_identity(parse_edid(monitor.edids[at])))
    return found


def _identity(edid: dict[str, Any]) -> dict[str, str]:
    """Return `name` and `unique_id`, each where the EDID has what it is made of."""
    found = {"name": edid["display_name"]} if "display_name" in edid else {}
    parts = {"model": edid.get("id_legacy"), "serial": edid.get("serial_number")}
    if "manufacture_year" in edid:
        week = f"W{edid['manufacture_week']:02d}" if "manufacture_week" in edid else ""
        parts["mfr_date"] = f"{edid['manufacture_year']:04d}{week}"
    if "model_year" in edid:
        parts["model_year"] = f"{edid['model_year']:04d}"
    parts = {key: value for key, value in parts.items() if value is not None}
    if parts:
        found["unique_id"] = urlencode(parts)
    return found
