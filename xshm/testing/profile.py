"""A desktop on which a program looks the same each time: `--xshm-profile=stable`.

By environment variables, by settings files in a directory of its own (XDG_CONFIG_HOME, FONTCONFIG_FILE), and by the X
resources of displays:

- all programs: the locale C.UTF-8 and UTC; the DejaVu fonts and no others, gray anti-aliasing, slight hinting, 96 dots
  an inch; scale 1; OpenGL by software; X11 where there is Wayland, too
- GTK 3 and 4: carets don't blink, animations are off, DejaVu Sans 10, the theme Adwaita; GTK 4 draws by cairo
- Qt 5 and 6: carets don't blink, animations are off, the style Fusion, DejaVu Sans 10: by kdeglobals, which the KDE
  theme inside Qt reads; no scaling by the screen's size; Qt Quick by software
- Tk: carets of its classic widgets don't blink; nor those of xterm and Emacs
- Chromium and Firefox: carets and animations as GTK has them

Seen to hold by two seconds of each with a text field in use: GTK 3.24 and 4.8, Qt 5.15 and 6, Tk 8.6, xterm, Chromium
and Firefox of Debian 12.

What does not work: the carets of ttk's entries, whose times are compiled in (Tk 8.6); flags of Chromium's, which
Debian's takes from no variable: `CHROMIUM_FLAGS` has them for a command line; preferences of Firefox's, which it takes
from its own profile alone: `FIREFOX_PREFERENCES` has them. The user's own settings, below ~/.config, are not seen.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

from xshm.errors import StartFailed
from xshm.system.atomic_write import replace_file
from xshm.x11.server import resources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from xshm.drawables.screen import Screen

# For a command line of Chromium's, or the options that Selenium starts it with.
CHROMIUM_FLAGS: Final = (
    "--force-device-scale-factor=1",
    "--force-prefers-reduced-motion",
    "--disable-smooth-scrolling",
    "--disable-lcd-text",
    "--font-render-hinting=slight",
    "--disable-gpu",
    "--lang=en-US",
)
FIREFOX_PREFERENCES: Final[Mapping[str, int | bool | str]] = {
    "ui.caretBlinkTime": 0,
    "ui.prefersReducedMotion": 1,
    "general.smoothScroll": False,
    "gfx.webrender.software": True,
    "layout.css.devPixelsPerPx": "1.0",
    "toolkit.cosmeticAnimations.enabled": False,
}

_PATIENCE: Final = 20.0  # seconds for fontconfig, which reads all fonts where it has no cache
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "LANGUAGE": "",  # GNU gettext asks it first
    "TZ": "UTC",
    "LIBGL_ALWAYS_SOFTWARE": "1",
    "GALLIUM_DRIVER": "llvmpipe",
    "XDG_SESSION_TYPE": "x11",
    "GDK_BACKEND": "x11",
    "GDK_SCALE": "1",
    "GDK_DPI_SCALE": "1",
    "GTK_THEME": "Adwaita",
    "GTK_OVERLAY_SCROLLING": "0",  # a scroll bar that fades away is there or not
    "GSK_RENDERER": "cairo",
    "GSETTINGS_BACKEND": "memory",  # the user's own settings
    "QT_QPA_PLATFORM": "xcb",
    "QT_QPA_PLATFORMTHEME": "kde",
    "KDE_SESSION_VERSION": "5",  # from 5 on the theme reads kdeglobals below XDG_CONFIG_HOME
    "QT_STYLE_OVERRIDE": "Fusion",
    "QT_SCALE_FACTOR": "1",
    "QT_AUTO_SCREEN_SCALE_FACTOR": "0",
    "QT_ENABLE_HIGHDPI_SCALING": "0",
    "QT_FONT_DPI": "96",
    "QT_QUICK_BACKEND": "software",
    "MOZ_ENABLE_WAYLAND": "0",
    "CHROMIUM_FLAGS": " ".join(CHROMIUM_FLAGS),
}

_GTK: Final = """\
[Settings]
gtk-cursor-blink=0
gtk-enable-animations=0
gtk-font-name=DejaVu Sans 10
gtk-theme-name=Adwaita
gtk-icon-theme-name=Adwaita
gtk-xft-antialias=1
gtk-xft-hinting=1
gtk-xft-hintstyle=hintslight
gtk-xft-rgba=none
gtk-xft-dpi=98304
"""

_KDE: Final = """\
[KDE]
CursorBlinkRate=0
AnimationDurationFactor=0
widgetStyle=Fusion

[General]
font=DejaVu Sans,10,-1,5,50,0,0,0,0,0
fixed=DejaVu Sans Mono,10,-1,5,50,0,0,0,0,0
menuFont=DejaVu Sans,10,-1,5,50,0,0,0,0,0
toolBarFont=DejaVu Sans,10,-1,5,50,0,0,0,0,0
"""

# The system's own file comes first, for its directories of fonts and its cache. Then all fonts but DejaVu are hidden:
# a picture does not depend on what else is installed. They are named by suffixes, since a pattern that matches a
# directory's name hides all that is below it; from the root on, since fontconfig 2.15 takes others to be relative.
_SUFFIXES: Final = (
    *("ttf", "ttc", "otf", "otc", "dfont", "cff", "t1", "pfa", "pfb", "pfr", "woff", "woff2"),
    *("otb", "pcf", "pcf.gz", "bdf", "bdf.gz", "snf", "snf.gz", "fnt", "fon"),
)
_FONTS: Final = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <selectfont>
    <rejectfont>HIDDEN</rejectfont>
    <acceptfont><glob>/*/DejaVu*.ttf</glob></acceptfont>
  </selectfont>
  <match target="pattern">
    <edit name="dpi" mode="assign"><double>96</double></edit>
  </match>
  <match target="font">
    <edit name="antialias" mode="assign"><bool>true</bool></edit>
    <edit name="hinting" mode="assign"><bool>true</bool></edit>
    <edit name="autohint" mode="assign"><bool>false</bool></edit>
    <edit name="hintstyle" mode="assign"><const>hintslight</const></edit>
    <edit name="rgba" mode="assign"><const>none</const></edit>
    <edit name="lcdfilter" mode="assign"><const>lcdnone</const></edit>
  </match>
</fontconfig>
"""

_RESOURCES: Final = """\
Xft.dpi:\t96
Xft.antialias:\t1
Xft.hinting:\t1
Xft.hintstyle:\thintslight
Xft.rgba:\tnone
Xft.lcdfilter:\tlcdnone
*insertOffTime:\t0
*cursorBlink:\tfalse
Emacs.cursorBlink:\toff
"""


def stable(directory: Path) -> dict[str, str]:
    """Write the settings into a directory, and return the variables that lead programs to them.

    The directory has to be there as long as programs start. Raises StartFailed where the DejaVu fonts are missing.
    """
    config = directory / "config"
    for toolkit in ("gtk-3.0", "gtk-4.0"):
        (config / toolkit).mkdir(parents=True, exist_ok=True)
        replace_file(config / toolkit / "settings.ini", _GTK.encode())
    replace_file(config / "kdeglobals", _KDE.encode())
    fonts = directory / "fonts.conf"
    hidden = "".join(f"<glob>/*.{each}</glob>" for suffix in _SUFFIXES for each in (suffix, suffix.upper()))
    replace_file(fonts, _FONTS.replace("HIDDEN", hidden).encode())
    found = {**_ENVIRONMENT, "XDG_CONFIG_HOME": str(config), "FONTCONFIG_FILE": str(fonts)}
    _check_fonts(found)
    return found


def set_resources(screen: Screen) -> None:
    """Set the X resources of a display; programs read them when they start."""
    resources.set_resources(screen.connection, _RESOURCES)


def _check_fonts(variables: Mapping[str, str]) -> None:
    """Raise StartFailed where fontconfig finds no font: programs would show boxes, or end."""
    try:
        listed = subprocess.run(
            ["fc-list", ":", "family"],
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):  # there is no fontconfig, or one that can't be asked
        return
    if not listed.strip():
        raise StartFailed(
            "the profile shows all text in the DejaVu fonts, and they are not installed (Debian, Ubuntu: apt-get "
            "install fonts-dejavu-core)"
        )
