#!/bin/sh
# Install what the benchmarks compare with, on Debian (as root, or by sudo):   sh tests/bench/setup.sh
#
# The libraries go into the virtual environment of tests/run.sh. Each is optional: `python tests/bench` names what is
# absent, and measures the others.
set -eu
cd "$(dirname "$0")/../.."

XSHM_SETUP_ONLY=1 sh tests/run.sh
"${XSHM_VENV:-.venv}/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[bench]'

packages="
  gcc libc6-dev libxcb1-dev libxcb-shm0-dev x11vnc novnc iproute2
  scrot maim imagemagick ffmpeg xdotool xterm chromium xauth xvfb
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0
"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
$sudo apt-get -qq install --no-install-recommends -y $packages >/dev/null
