#!/bin/sh
# Run the tests, on a fresh Debian 12 or 13 too:   sh tests/run.sh [pytest arguments]
#
# Installs what is missing of the Debian packages (as root, or by sudo), keeps a virtual environment in .venv, and runs
# pytest in it. A second run finds everything there and costs nothing. In the environment:
#   XSHM_VENV=DIR        another place for the virtual environment
#   XSHM_PYTHON=PROGRAM  the Python to make it with
#   XSHM_SETUP_ONLY=1    stop when all is installed
# `-n 0` runs all in one process, where a debugger can be used.
set -eu
cd "$(dirname "$0")/.."
venv=${XSHM_VENV:-.venv}

# Servers; what draws on them; what looks at the pictures, and drives a browser; what PySide6 asks for; what the C
# programs of tests and benchmarks need.
packages="
  python3 python3-venv
  xvfb xauth tigervnc-standalone-server xserver-xephyr xserver-xorg-core xserver-xorg-video-dummy xwayland weston
  x11-apps x11-utils x11-xserver-utils x11-xkb-utils xterm xdotool scrot maim openbox fonts-dejavu-core
  python3-tk python3-pyqt5 python3-gi gir1.2-gtk-3.0
  imagemagick pngcheck ffmpeg chromium chromium-driver firefox-esr
  libegl1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0
  afl++ gcc libc6-dev libxcb1-dev libxcb-shm0-dev
  procps iproute2 util-linux zsh fish groff-base
  novnc vncsnapshot tigervnc-viewer openssl
"

say() { echo "tests/run.sh: $*" >&2; }

# Those of the arguments that are not installed.
missing_of() {
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

apt() {
  if [ "$(id -u)" = 0 ]; then DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"
  else sudo DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"; fi
}

# Installs what is missing and sets `absent` to what this release of Debian does not have; fails where it may not.
install_packages() {
  absent=
  command -v dpkg-query >/dev/null || { say "this is no Debian: tests whose programs are missing are skipped"; return 1; }
  missing=$(missing_of $packages)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "neither root nor sudo; tests that need these are skipped:" $missing
    return 1
  fi
  say "installing" $missing
  apt update || say "the lists of packages could not be brought up to date"
  for package in $missing; do
    apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || absent="$absent $package"
  done
  for package in $absent; do
    say "this release has no package $package: its tests are skipped"
    missing=$(echo "$missing" | grep -vx "$package" || true)
  done
  apt install --no-install-recommends -y $missing >/dev/null
}

if install_packages; then
  export XSHM_SERVERS=required XSHM_SERVERS_ABSENT="$absent"
fi

# A python3 found first may be a version manager's shim, or lack what a virtual environment needs.
find_python() {
  for python in ${XSHM_PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11}; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  say "no Python 3.11 or newer that can make virtual environments (Debian: python3-venv)"
  return 1
}

stamp=$(cksum <pyproject.toml)
if ! "$venv/bin/python" -c '' 2>/dev/null; then
  python=$(find_python)
  "$python" -m venv --clear "$venv"
fi
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$stamp" ]; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[test,fast,video,live,fleet,pytest,docs]'
  # Alone: it asks for python3-xlib, whose files are in the places of python-xlib's.
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps 'pyautogui>=0.9.54'
  echo "$stamp" >"$venv/installed"
fi

# Hundreds of the tests' processes import xshm: were each to compile it anew, that would be most of what they do.
# Where nothing can be written here, it is.
unset PYTHONDONTWRITEBYTECODE
"$venv/bin/python" -m compileall -q xshm tests/helpers >/dev/null || true

[ -z "${XSHM_SETUP_ONLY:-}" ] || exit 0
# Most of a test's time is a server's or a wait, so one file more at a time than there are processors keeps all of them
# busy. Not many more: tests that measure time would measure each other.
exec "$venv/bin/python" -m pytest --numprocesses $(($(nproc) + 1)) --dist loadfile "$@"
