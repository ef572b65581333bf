#!/bin/sh
# One container draws, another reads its screen out of a shared volume in memory:
#
#   docker build -t xshm .                          (in the project's folder)
#   sh examples/containers/run.sh [DIRECTORY]       (where screen.png is to go; default: here)
#
# Another engine than docker: ENGINE=podman.
set -eu
engine=${ENGINE:-docker}
out=$(cd "${1:-.}" && pwd)
name=xshm-screen-$$
said=$(mktemp -u)
mkfifo "$said"

$engine volume create --driver local --opt type=tmpfs --opt device=tmpfs "$name" >/dev/null
$engine run --rm --name "$name" -v "$name:/screen" xshm python examples/containers/draw.py /screen >"$said" &
# The first may have failed to start: there is nothing to stop then, and the rest has to go all the same.
trap '$engine stop "$name" >/dev/null || true; wait || true; $engine volume rm "$name" >/dev/null; rm "$said"' EXIT
trap 'exit 1' INT TERM
read -r line <"$said" # when the program is there, or the container has ended
echo "$line"

$engine run --rm --network none --read-only -v "$name:/screen:ro" -v "$out:/out" xshm \
  python examples/containers/read.py /screen/Xvfb_screen0 /out/screen.png
