"""The shell's script that starts a server and its supervisor, step by step.

Four processes result: the owner, which called `launch`; this shell; the supervisor, a child of the shell; the server, a
child of the supervisor. A server may need a compositor, a fifth one: then the supervisor starts both, since what
connects them must be known to nobody else, this shell included (`compositor`).

Why a shell: it starts the server while the supervisor's interpreter is still loading; it stays as the supervisor's
parent and waits (Ray, for one, kills the children of a worker that has ended, and must not find the supervisor among
these); and it cleans up when the supervisor is killed.

Always true: what the script makes was noted before, or its name was known before (`server_files`). So a kill between
any two lines leaves nothing that the supervisor, this shell, the owner or the next start of a display does not remove.

Standard input is the control socket; standard output the pipe on which the server writes its display number; standard
error the log. The variables are set by `launch`; those that only the supervisor uses are described there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Words: NAME=VALUE, then "--", then the command lines of a compositor, of $compositor words, and of the server;
# both are empty for a supervisor of programs alone.
# Any POSIX shell runs it as /bin/sh; of Linux it takes /proc.
_SCRIPT: Final = r"""
# 1. Take the named values off the command line.
while [ "$1" != -- ]; do readonly "$1"; shift; done
shift

# 2. Outlive the signals that stop a terminal's programs. By a trap that does nothing: the server would inherit an
#    ignored signal, while a trap is gone in the child of step 3. And keep the shell's own messages out of the log, such
#    as that a child was killed: the log is saved as descriptor $free, a digit, since dash redirects no number above 9.
signals="HUP INT QUIT TERM USR1 USR2 PIPE TSTP TTIN TTOU"
trap : $signals
eval "exec $free>&2 2>/dev/null"

# 3. In a child, which step 6 turns into the supervisor, so that the server is the supervisor's own child:
(
  eval "exec 2>&$free $free>&-"
  umask 077
  server=
  if [ $# -gt 0 ]; then
    server=failed

    # 4. Make the private directories, and before the second one note what is to be removed, in the order of
    #    cleanup.remove; write the authority file. The cookie comes by a pipe, since others can read command lines and
    #    environments; and as octal escapes, since a shell's variables hold no NUL.
    if mkdir -m 700 "$directory" &&
      printf '%s\n' "$kind" "$screens" "$mark" "$memory" "$kept" >"$directory/what" &&
      { [ -z "$memory" ] || mkdir -m 700 "$memory"; } &&
      read -r cookie <"/proc/self/fd/$cookie_pipe" && printf %b "$cookie" >"$directory/Xauthority"
    then

      # 5. Start the server: no input, its number on descriptor 3, its messages to the log or, where the supervisor is
      #    to copy them, to another pipe. It does not get the control socket. Its process notes its own id before it
      #    becomes the server: noted by the parent, after the fork, a kill could leave segments of an unknown creator.
      #    With a compositor, leave both to the supervisor, which gets the pipe for the number as descriptor $free.
      if [ "$compositor" -gt 0 ]; then
        server=later
      else
        (
          read -r pid rest </proc/self/stat; echo "$pid" >"$directory/pid"
          [ -z "$errors" ] || exec 2>"$errors"; exec "$@" 3>&1 >&2 </dev/null
        ) &
        server=$!
        set --
      fi
    fi
  fi

  # 6. Become the supervisor, which ignores these signals: the interpreter loads while the server gets ready.
  trap '' $signals
  [ "$server" != later ] || eval "exec $free>&1"
  exec "$python" -I -S $flags -c "$boot" "$package" "server=$server" \
    "ready=$ready" "owner=$owner" "screens=$screens" "parent_death=$parent_death" "swept=$swept" \
    "directory=$directory" "memory=$memory" "kept=$kept" "kind=$kind" "tee=$tee" \
    "number=$free" "compositor=$compositor" -- "$@" >/dev/null
)
status=$?

# 7. The supervisor has ended. By its exit code it has removed all, or found in its directory's place what is another's:
#    then so does this shell. Otherwise, wherever the start has come to, report that to the owner, and clean up; even
#    before the directory is made there may be framebuffers of the caller's.
#    Without the file "supervisor", which a supervisor makes at its start, $python may be no interpreter but, say, a
#    frozen application, and step 7 would start that once more. So leave the cleanup to the owner: wait until the owner
#    has closed the control socket, or died, and only then end the process group (this shell has a trap) and clean up.
[ "$status" -ne "$finished" ] || exit 0
eval "exec 2>&$free $free>&-"
if [ -n "$directory" ]; then
  exec >/dev/null
  echo "gone $status" 2>/dev/null >&0
  [ -e "$directory/supervisor" ] || { read -r end; kill -TERM 0; }
  trap '' $signals
  exec "$python" -I -S $flags -c "$clean" "$package" "$directory" "$kept" "$screens"
fi
exit $status
"""


def command_line(values: Mapping[str, object], server: Sequence[str]) -> list[str]:
    """Return the command line that runs the script; `values` has all variables that it reads but does not set."""
    return ["/bin/sh", "-c", _SCRIPT, "sh", *(f"{name}={value}" for name, value in values.items()), "--", *server]
