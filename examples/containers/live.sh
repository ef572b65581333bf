#!/bin/sh
# A container's screen, live in the browser of the machine that runs the container:
#
#   docker build -t xshm .                          (in the project's folder)
#   sh examples/containers/live.sh [PORT]           (default: 6080; prints the link; Ctrl-C ends it)
#
# Another engine than docker: ENGINE=podman. How the parts go together:
#
# - `-p 127.0.0.1:6080:6080` lets this machine in, and nobody else. It leads to the container's own address, where
#   `--host 0.0.0.0` listens: at the default, the container's 127.0.0.1, nothing from outside arrives.
# - `--unencrypted` says that nobody reads along between this machine and its container. For others (`-p 6080:6080`)
#   give a certificate instead: `-v "$PWD/certs:/certs:ro"`, `--tls-cert /certs/cert.pem --tls-key /certs/key.pem`, and
#   `--allow-host NAME` for the name by which browsers come. Or leave it as it is, and let them come by `ssh -L`.
# - The token at the link's end is all that lets anybody in. It is random, and stands in the container's log; to choose
#   it, and to keep it out of there, `--token-file /run/secrets/token`, a secret of the engine's.
# - The link has the address as the container sees it: in it, 127.0.0.1 and the port of -p take that place.
set -eu
engine=${ENGINE:-docker}
port=${1:-6080}
name=xshm-live-$$

trap '$engine stop "$name" >/dev/null 2>&1 || true' EXIT
trap 'exit 0' INT TERM
$engine run --rm --name "$name" -p "127.0.0.1:$port:6080" xshm \
  xshm run -- sh -c 'xclock -update 1 -geometry 1280x800+0+0 -bg gold & exec xshm live -p 6080 --host 0.0.0.0 --unencrypted' |
  sed -u "s|//[^/]*/|//127.0.0.1:$port/|" &
wait $! # a signal interrupts this, and not what stands in the foreground
