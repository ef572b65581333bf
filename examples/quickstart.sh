#!/bin/sh
# From a fresh Debian 12 or 13 to a screen in numpy:   sh examples/quickstart.sh [FILE.png]
#
# Installs Xvfb and a few small programs to look at (as root, or by sudo), makes .venv with xshm in it, and runs
# quickstart.py beside this file.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
file=${1:-xshm-quickstart.png}
packages="python3 python3-venv xvfb xauth x11-apps x11-xserver-utils xterm fonts-dejavu-core"

missing=
for package in $packages; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "installing$missing"
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get -qq update
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $missing >/dev/null
fi

venv=${XSHM_VENV:-$here/.venv}
if ! "$venv/bin/python" -c '' 2>/dev/null; then
  echo "making $venv"
  /usr/bin/python3 -m venv --clear "$venv"
fi
if ! "$venv/bin/python" -c 'import xshm, numpy, PIL, Xlib' 2>/dev/null; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e "$here"
fi
exec "$venv/bin/python" "$here/examples/quickstart.py" "$file"
