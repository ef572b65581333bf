"""The owner's handle on one X server and its supervisor: start both, get process groups for programs, end everything.

The owner is the process that calls this: it asks the supervisor over a control socket, and is the parent of the
shell above the supervisor (`launch_script`).

Always true:

1. Once a SupervisedServer is made, the server answers. Once `end` returns, no process and no file of it is left.
2. Only the process that made it can end it. A forked child can neither end the server nor keep it alive.
3. Where the supervisor was killed, or never was an interpreter, this process does the supervisor's work, whether or not
   the shell above the supervisor does the same at the same time.
"""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import subprocess
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import Descriptor, Ignored, owned
from xshm.errors import Closed, StartFailed
from xshm.system import limits
from xshm.system.printable import printable
from xshm.virtual.processes import marked_fork, process_groups
from xshm.virtual.processes.descendants import Descendants, first_mark, marks_of_display
from xshm.virtual.servers import cleanup, control_socket
from xshm.virtual.servers.control_socket import ControlSocket, NoAnswer
from xshm.virtual.servers.launch import PYTHON_HINT, Directories, launch
from xshm.virtual.servers.server_log import quote_messages

if TYPE_CHECKING:
    from xshm.virtual.kinds.server_command import ServerCommand
    from xshm.virtual.servers.launch import Launched
    from xshm.virtual.servers.server_log import ServerLog

_CLOSED_TO_EXIT: Final = 0.2  # seconds from when a process has closed its end of the socket until it has ended
_QUOTED: Final = 65536  # bytes of messages at most in which an error looks for what to quote
_BY_SIGNAL: Final = 128  # which shells add to a signal's number


class SupervisedServer:
    """A supervisor, and the server that it supervises; with None in place of a server, programs alone.

    `number` is the display's, `pid` the server's process id, `authority` the path of its authority file,
    `has_socket_file` whether it listens in the file system. `log` takes the server's messages. `timeout`: seconds for
    the start. Raises StartFailed.
    """

    def __init__(
        self, server: ServerCommand | None, *, log: ServerLog, timeout: float, directories: Directories
    ) -> None:
        self._server_name, self._program = (server.name, server.program) if server is not None else ("", "")
        self._session = os.getsid(0)
        self._log = log
        self._log_start = os.lseek(log.log, 0, os.SEEK_END)
        self._is_removed = False  # nothing is left of it
        self.number, self.pid = "", 0
        self.authority = Path()
        self.has_socket_file = False
        self._mark = first_mark(secrets.token_bytes(8))  # of the last program; at first none's
        self._marks = itertools.count(self._mark + 1)  # the next ones; threads may take them at once
        self._is_interpreter = False  # the supervisor has sent its first message
        self._fate = ""  # how the supervisor has ended, as the shell above it reports
        self._launched: list[Launched] = []
        self._control = ControlSocket(self._launched, self._handle_other)
        try:
            launch(server, log, directories, self._mark, self._launched)
            deadline = time.monotonic() + timeout
            self._wait_hello(deadline)
            ready = self._control.wait_answer("ready", deadline)
        except NoAnswer:
            try:
                silent = "" if self._is_interpreter else f": {self._not_an_interpreter()}"
            finally:
                self.end()
            raise StartFailed(f"the display was not ready within {timeout:g} s{silent}{self._messages()}") from None
        except BaseException:
            self.end()
            raise
        if server is not None:
            self.number, pid, has_socket_file = ready.split()
            self.pid, self.has_socket_file = int(pid), has_socket_file == "1"
            self.authority = Path(self._launched[0].directory, "Xauthority")

    @property
    def pidfd(self) -> int:
        """The server's pidfd, or -1."""
        return self._control.descriptors[0] if self._control.descriptors else -1

    @property
    def framebuffers(self) -> list[Descriptor]:
        """The open descriptors of its framebuffers."""
        return self._control.descriptors[1:]

    def close_framebuffers(self) -> None:
        """Close the descriptors of its framebuffers, once those are mapped."""
        del self._control.descriptors[1:]

    def said(self) -> str:
        """Return the server's messages so far."""
        return self._said(self._log_start)

    def _said(self, start: int) -> str:
        size = os.fstat(self._log.log).st_size
        return os.pread(self._log.log, max(0, size - start), start).decode(errors="replace")

    # -- programs ------------------------------------------------------------------------------------------------------

    def new_group(self) -> tuple[int, int]:
        """Return a process group for a program (`process_group=` of subprocess), and the mark that it is to have.

        Every process in the group, or with the mark, is ended with the display.
        """
        self._control.check_open()
        if os.getsid(0) != self._session:
            raise StartFailed(
                "this process has moved to another session (setsid) since it started the display, and a process group "
                "can't reach across sessions; start the display after that"
            )
        mark = self._mark = next(self._marks)
        try:
            return int(self._control.ask("group", mark)), mark
        except BaseException as error:
            self.program_exited(mark)  # the supervisor may have made the group
            if isinstance(error, NoAnswer):
                raise StartFailed(
                    f"the display's supervisor has not answered within {control_socket.PATIENCE:g} s; close the "
                    f"display and start another"
                ) from None
            raise

    def program_exited(self, mark: int) -> None:
        """Have the supervisor drop a program's group, once that is empty."""
        self._control.send(f"exited {mark}")

    def end_program(self, mark: int) -> str:
        """End all that descends from a program: SIGTERM, SIGKILL after two seconds. Return the processes that are left.

        Raises StartFailed, NoAnswer where the supervisor was killed or stopped.
        """
        if self._control.is_ended and self._control.is_owner:
            self._control.wait_end()
            return ""
        self._control.check_open()
        try:
            return self._control.ask("stop", mark, "stopped")
        except Closed:  # the display was closed meanwhile, by another thread or a signal handler
            return ""

    # -- the end -------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """End programs and server, and remove every file; ending twice is fine. A forked child only closes its copies.

        Raises StartFailed where the supervisor was killed and no descriptor is left to do its work; call it again when
        there is one.
        """
        self._control.is_ended = True
        if self._is_removed or not self._launched:
            return
        try:
            if self._control.is_owner:
                marked_fork.unmark(self._mark)
                with limits.Explained(StartFailed, "the display can't be taken down"):
                    self._end()
        finally:
            self._control.close()
        del self._control.descriptors[:]
        self._is_removed = True

    def disconnect(self) -> None:
        """Have the supervisor end everything, without waiting for that; a later `end` waits."""
        self._control.disconnect()

    def disconnect_at_exit(self) -> None:
        """Do as `disconnect` does, in a process that is about to end."""
        self._control.disconnect()
        if self._launched:
            self._shell.returncode = 0  # else Popen warns of a child that is still running

    def _end(self) -> None:
        if not self._is_interpreter or self._fate:  # nobody would answer
            self._end_without_supervisor()
            return
        try:
            if not self._control.is_connected:  # an earlier `end` was interrupted: no question, only a wait
                self._wait_for_supervisor()
                directory = self._launched[0].directory
                if directory and os.path.lexists(directory):  # the supervisor was killed, and nothing cleaned up
                    self._end_without_supervisor()
                return
            problems = self._control.end()
            if problems:
                warnings.warn(
                    f"the display could not be taken down completely: {printable(problems)}", ResourceWarning, 3
                )
            self._wait_for_supervisor()
        except (StartFailed, NoAnswer, subprocess.TimeoutExpired):  # the supervisor was killed or stopped
            self._end_without_supervisor()

    def _wait_for_supervisor(self) -> None:
        """Wait for the shell, which waits for the supervisor; if the shell was killed, for the rest of its group."""
        shell = self._shell.pid
        with Ignored(ChildProcessError):
            state = os.waitid(os.P_PID, shell, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            if state and state.si_code != os.CLD_EXITED:
                process_groups.wait_for_members(shell, control_socket.PATIENCE)
        self._shell.wait(control_socket.PATIENCE)

    def _end_without_supervisor(self) -> None:
        """Do the supervisor's work (3): end programs, the supervisor itself and the server, and remove the files.

        The shell is ended last, since it does the same work where this process is killed in the middle of it.
        """
        launched, shell = self._launched[0], self._shell.pid
        # Not reaped, so no other process can have its number, or the number of its group.
        has_group = self._shell.returncode is None and _is_running(shell) is not None
        if launched.directory:
            group, is_held = shell if has_group else 0, has_group and bool(_is_running(shell))
            left = cleanup.remove(launched.directory, launched.framebuffers, group=group, is_held=is_held)
        else:
            left = self._end_programs()
        if has_group:
            process_groups.signal_group(shell, signal.SIGKILL)
            process_groups.wait_for_members(shell, process_groups.ENDING)
            self._shell.wait()
        else:
            self._shell.poll()  # else Popen warns of a child that is still running
        if left:
            warnings.warn(f"programs of the display did not end: {', '.join(left)}", ResourceWarning, 3)

    def _end_programs(self) -> list[str]:
        """End the processes that have a mark of the display; the groups' numbers may be other processes' by now."""
        marks = marks_of_display(self._mark)
        if self._mark == marks.start:  # no program was ever started
            return []
        return Descendants(marks, set(), process_groups.own_start(), os.getpid()).end()

    @property
    def _shell(self) -> subprocess.Popen[bytes]:
        return self._launched[0].shell

    # -- messages of the supervisor ------------------------------------------------------------------------------------

    def _wait_hello(self, deadline: float) -> None:
        """Wait for the supervisor's first message, which only an interpreter sends; StartFailed for another program."""
        try:
            self._control.wait_answer("hello", deadline)
        except StartFailed:
            raise StartFailed(f"{self._not_an_interpreter()}{self._messages()}") from None
        self._is_interpreter = True

    def _handle_other(self, word: str, rest: str, wanted: str) -> None:
        """Handle a message other than the one waited for; raise StartFailed where that one will not come."""
        if word == "exited" and wanted == "ready":
            hint = f"; {self._program} is too old, or another program of that name" if self._lacks_displayfd() else ""
            code = f" with exit code {rest}" if rest else ""
            raise StartFailed(f"{self._server_name} ended{code} before it was ready{self._messages()}{hint}")
        if word == "failed" and wanted != "ended":
            raise StartFailed(f"the display could not be started{': ' * bool(rest)}{printable(rest)}{self._messages()}")
        if word == "gone":  # from the shell
            self._fate = _ending(int(rest))
            if wanted == "ready":
                raise StartFailed(
                    f"the display's supervisor {self._fate} before the display was ready{self._messages()}"
                )
        if word in ("", "gone"):  # "": the end of the socket
            fate = f" ({self._fate})" if self._fate else ""
            raise StartFailed(f"the display's supervisor was killed{fate}; close the display and start another")

    def _not_an_interpreter(self) -> str:
        """Describe the process in the supervisor's place, and how it has ended; do not reap it."""
        pid, fate = self._shell.pid, self._fate or "did not answer"
        with Ignored(OSError):
            process_groups.wait((owned(os.pidfd_open, pid),), time.monotonic() + (0 if self._fate else _CLOSED_TO_EXIT))
            if not self._fate and (state := os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)):
                fate = _ending(state.si_status + _BY_SIGNAL * (state.si_code != os.CLD_EXITED))
        interpreter = self._launched[0].interpreter
        return f"{interpreter} was to look after the display, and {fate}; if it is no Python interpreter, {PYTHON_HINT}"

    def _messages(self) -> str:
        size = os.fstat(self._log.log).st_size  # of a server that writes without end, gigabytes
        return quote_messages(self._said(max(self._log_start, size - _QUOTED)))

    def _lacks_displayfd(self) -> bool:
        """Tell whether the server does not know an option that all have had since 2012."""
        return "-displayfd" in self._messages()


def _is_running(pid: int) -> bool | None:
    """Tell whether a child of ours runs, or has ended; None for a process that is no child, or has been reaped."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None
    except ChildProcessError:
        return None


def _ending(status: int) -> str:
    """Describe the end of a program by the exit status of the shell that has waited for it."""
    if _BY_SIGNAL < status <= _BY_SIGNAL + signal.NSIG:
        return f"ended with signal {status - _BY_SIGNAL}"
    return f"ended with exit code {status}"
