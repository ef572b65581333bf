"""Our end of the line to a display's supervisor: start, groups for programs, the end.

When `Supervision` is made, the server answers; when `end` returns, nothing of it is left. A process forked from ours
has no part in it: it can neither end the display nor keep it. What a supervisor leaves that was killed, or that never
was one, is ended and removed here, whether or not the shell above it is at it, too.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import threading
import time
import warnings
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xshm._signal_safety import Descriptor, owned
from xshm.errors import Closed, StartFailed
from xshm.system import limits
from xshm.system.kernel_errors import Ignored, is_the_kernels
from xshm.system.printable import printable
from xshm.virtual.processes import process_groups
from xshm.virtual.processes.descendants import Descendants, first_mark, of_the_display
from xshm.virtual.processes.process_groups import GRACE
from xshm.virtual.servers import remains
from xshm.virtual.servers.launch import WAY_OUT, Directories, launch

if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence

    from xshm.virtual.servers.launch import Launched
    from xshm.virtual.servers.server_log import ServerLog

_PATIENCE: Final = 4 * GRACE + 5  # seconds: programs, then the server, each by TERM and by KILL
_NO_PLACES: Final = Directories()
_MOST_SCREENS: Final = 16  # MAXSCREENS of the X server
_RIGHTS: Final = socket.CMSG_SPACE(4 * (1 + _MOST_SCREENS))  # bytes: the server's pidfd and its framebuffers
_TOLD_LINES: Final = 6
_FATE: Final = 0.2  # seconds for a process that closed its line to have ended
_BY_SIGNAL: Final = 128  # is added to a signal's number, as shells have it
_FATAL: Final = "Fatal server error:"


if TYPE_CHECKING:
    _Message = tuple[bytes, list[tuple[int, int, bytes]], int, object]


class NotInTime(TimeoutError):
    """The supervisor has not answered; a class of its own, since signal handlers raise TimeoutErrors too."""


class SupervisedServer:
    """A supervisor and what it looks after: the server whose command line is `server`, or programs alone.

    `number` is the display's, `pid` and `pidfd` are the server's, `authority` is the path of its authority file,
    `framebuffers` the open descriptors of its framebuffers, `has_socket_file` whether it listens in the file system.
    `log` takes all that the server says. Raises StartFailed.
    """

    def __init__(
        self, server: Sequence[str], *, log: ServerLog, timeout: float, places: Directories = _NO_PLACES
    ) -> None:
        self._owner = os.getpid()
        self._session = os.getsid(0)
        self._lock = threading.RLock()  # a signal handler asks while this thread waits for an answer
        self._wanted: list[str] = []  # answers that are waited for, by who was interrupted by a handler too
        self._kept: dict[str, str] = {}  # those of them that a handler's question has met
        self._log = log
        self._log_start = os.lseek(log.log, 0, os.SEEK_END)
        self._arrived: list[_Message] = []  # what the line has brought and nobody has looked at
        self._descriptors: list[Descriptor] = []  # the server's pidfd, then its framebuffers
        self._ended = False
        self._over = False  # and nothing is left
        self.exit_code: int | None = None
        self.number, self.pid = "", 0
        self.authority = Path()
        self.has_socket_file = False
        self._mark = first_mark(secrets.token_bytes(8))  # of the program that was started last
        self._speaks = False  # the supervisor has proved that it is one
        self._fate = ""  # of a supervisor that the shell above it has survived
        self._launched: list[Launched] = []
        try:
            launch(server, log, places, self._mark, self._launched)
            deadline = time.monotonic() + timeout
            self._hear_hello(deadline)
            answer = self._expect("ready", deadline)
        except NotInTime:
            try:
                silent = "" if self._speaks else f": {self._not_ours()}"
            finally:
                self.end()
            raise StartFailed(f"the display was not ready within {timeout:g} s{silent}{self._told()}") from None
        except BaseException:
            self.end()
            raise
        if server:
            self.number, pid, has_socket_file = answer.split()
            self.pid, self.has_socket_file = int(pid), has_socket_file == "1"
            self.authority = Path(self._launched[0].directory, "Xauthority")

    @property
    def pidfd(self) -> int:
        """The server's, or -1."""
        return self._descriptors[0] if self._descriptors else -1

    @property
    def framebuffers(self) -> list[Descriptor]:
        """The open descriptors of its framebuffers."""
        return self._descriptors[1:]

    # -- process groups ------------------------------------------------------------------------------------------------

    def new_group(self) -> tuple[int, int]:
        """Return a process group for a program (`process_group=` of subprocess), and the mark that it is to carry.

        What is in the group or has the mark ends with the display.
        """
        self._check_owner()
        if os.getsid(0) != self._session:
            raise StartFailed(
                "this process has moved to another session (setsid) since it started the display, and a process group "
                "can't reach across sessions; start the display after that"
            )
        with self._lock:
            self._mark += 1
            mark = self._mark
        try:
            return int(self._ask("group", mark)), mark
        except BaseException as error:
            self.left(mark)  # what was asked for may have been made
            if isinstance(error, NotInTime):
                raise StartFailed(
                    f"the display's supervisor has not answered within {_PATIENCE:g} s; close the display and start "
                    f"another"
                ) from None
            raise

    def started(self, mark: int, pid: int, pidfd: int) -> None:
        """Say which process is a program itself."""
        self._mention(f"program {mark} {pid}", [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [pidfd]))])

    def left(self, mark: int) -> None:
        """Say that a program has ended; its group is forgotten once nobody else is in it."""
        self._mention(f"left {mark}", [])

    def stop(self, mark: int) -> str:
        """End all that descends from a program: by TERM, after two seconds by KILL. Return what is left even so."""
        if self._ended and os.getpid() == self._owner:
            with self._lock:  # until that end has come
                return ""
        self._check_owner()
        try:
            return self._ask("stop", mark, "stopped")
        except Closed:  # meanwhile
            return ""

    # -- the server ----------------------------------------------------------------------------------------------------

    def said(self) -> str:
        """Return what the server has said so far."""
        size = os.fstat(self._log.log).st_size
        return os.pread(self._log.log, size - self._log_start, self._log_start).decode(errors="replace")

    def close_framebuffers(self) -> None:
        """Close their descriptors, once they are mapped."""
        del self._descriptors[1:]

    def end(self) -> None:
        """End programs and server, and remove every file; ending twice is fine. In a forked process: only let go.

        Raises StartFailed where the supervisor was killed, and no descriptor is left for what it was to do; ended again
        when there is one, the rest is done.
        """
        self._ended = True
        if self._over or not self._launched:
            return
        try:
            if os.getpid() == self._owner:
                with limits.Named(StartFailed, "the display can't be taken down"):
                    self._end()
        finally:
            if not self._wanted:  # else by who waits on it
                self._line.close()
            if self._arrived:
                self._own_descriptors()
        del self._descriptors[:]
        self._over = True

    def leave(self) -> None:
        """Leave it to the supervisor to end all, as it does when the line is closed; `end` may wait for that."""
        self._ended = True
        if self._launched:
            self._line.close()

    def forget(self) -> None:
        """Leave it, since this process is about to end."""
        self.leave()
        if self._launched:
            self._shell.returncode = 0  # else Popen warns of a process that no user of a display has started

    def _end(self) -> None:
        if not self._speaks:
            self._end_orphans()
            return
        try:
            if self._line.fileno() < 0:  # it was left to the supervisor, by an end that was interrupted
                self._wait_for_supervisor()
                if self._launched[0].directory and os.path.lexists(self._launched[0].directory):  # it had been killed
                    self._end_orphans()
                return
            with self._lock:
                try:
                    self._line.send(b"end")
                except (BrokenPipeError, ConnectionResetError) as error:  # the latter where it had not read all
                    if not is_the_kernels(error):
                        raise
                problems = self._expect("ended", time.monotonic() + _PATIENCE)
            if problems:
                warnings.warn(
                    f"the display could not be taken down completely: {printable(problems)}", ResourceWarning, 3
                )
            self._wait_for_supervisor()
        except (StartFailed, NotInTime, subprocess.TimeoutExpired):
            self._end_orphans()  # somebody killed or stopped the supervisor: what it was to do is ours

    def _wait_for_supervisor(self) -> None:
        """Wait for the shell above it, which waits for it; where that was killed, for who is left of its group."""
        shell = self._shell.pid
        with Ignored(ChildProcessError):
            state = os.waitid(os.P_PID, shell, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            if state and state.si_code != os.CLD_EXITED:
                process_groups.wait_for_members({shell}, _PATIENCE)
        self._shell.wait(_PATIENCE)

    def _end_orphans(self) -> None:
        """End a supervisor that does nothing any more, and the server, which removes its socket itself; and files.

        The shell goes last: were we killed in the middle of this, it would go on.
        """
        left = self._end_programs()
        launched, shell = self._launched[0], self._shell.pid
        has_group = self._shell.returncode is None and _is_child(shell)  # the number is still its own, and its group's
        if has_group:
            _kill_children(shell)
        if self.pidfd >= 0 and self.exit_code is None:
            for how in (signal.SIGTERM, signal.SIGKILL):
                with Ignored(ProcessLookupError):
                    signal.pidfd_send_signal(self.pidfd, how)
                    signal.pidfd_send_signal(self.pidfd, signal.SIGCONT)
                if _readable(self.pidfd, GRACE):
                    break
            with Ignored(ChildProcessError):  # an orphan that became ours, should we be a subreaper
                os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
        if launched.directory:
            group, is_held = shell if has_group else 0, has_group and _is_alive(shell)
            remains.remove(launched.directory, launched.memory, group=group, is_held=is_held)
        if has_group:
            os.kill(shell, signal.SIGKILL)
            process_groups.end({shell})
            self._shell.wait()
        else:
            self._shell.poll()  # else Popen warns of it
        if left:
            warnings.warn(f"programs of the display did not end: {', '.join(left)}", ResourceWarning, 3)

    def _end_programs(self) -> list[str]:
        """End all that carries a mark of the display's; the groups are nobody's any more."""
        marks, ourselves = of_the_display(self._mark), process_groups.process(os.getpid())
        if self._mark == marks.start or ourselves is None:
            return []
        return Descendants(marks, set(), {}, ourselves.start, os.getpid()).end()

    @property
    def _line(self) -> _socket.socket:
        return self._launched[0].line

    @property
    def _shell(self) -> subprocess.Popen[bytes]:
        return self._launched[0].shell

    # -- the line ------------------------------------------------------------------------------------------------------

    def _hear_hello(self, deadline: float) -> None:
        """Wait until the supervisor proves that it is one; raise StartFailed for another program in its place."""
        try:
            self._expect("hello", deadline)
        except StartFailed:
            raise StartFailed(f"{self._not_ours()}{self._told()}") from None
        self._speaks = True

    def _not_ours(self) -> str:
        """Say of the process in the supervisor's place what is known of it; leave it unreaped."""
        pid, fate = self._shell.pid, self._fate or "did not answer"
        try:
            _readable(owned(os.pidfd_open, pid), 0 if self._fate else _FATE)
            if not self._fate and (state := os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)):
                fate = _ending(state.si_status + _BY_SIGNAL * (state.si_code != os.CLD_EXITED))
        except OSError as error:
            if not is_the_kernels(error):
                raise
        interpreter = self._launched[0].interpreter
        return f"{interpreter} was to look after the display, and {fate}; if it is no Python interpreter, {WAY_OUT}"

    def _ask(self, question: str, mark: int, answer: str = "") -> str:
        deadline = time.monotonic() + _PATIENCE
        wanted = f"{answer or question} {mark}"
        with self._lock:
            self._check_owner()
            try:
                self._wanted.append(wanted)
                if process_groups.wait((), deadline, (self._line.fileno(),)) < 0:
                    raise NotInTime
                try:
                    self._line.send(f"{question} {mark}".encode())
                except OSError as error:  # what there is to read says why
                    if not is_the_kernels(error):
                        raise
                return self._expect(wanted, deadline)
            finally:
                if wanted in self._wanted:
                    self._wanted.remove(wanted)
                if self._ended and not self._wanted:
                    self._line.close()
                elif self._kept:
                    self._mention("wake", [])  # who waits for a message, and it has come

    def _mention(self, what: str, rights: list[tuple[int, int, array[int]]]) -> None:
        """Say what needs no answer, and nothing where nobody listens; without the lock, while others wait as well."""
        if not self._ended and os.getpid() == self._owner:
            try:
                self._line.sendmsg([what.encode()], rights, socket.MSG_DONTWAIT)
            except OSError as error:
                if not is_the_kernels(error):
                    raise

    def _expect(self, wanted: str, deadline: float) -> str:
        """Return the rest of the message that begins with the words `wanted`; NotInTime when it does not come."""
        while wanted not in self._kept:
            if not self._arrived and not _readable(self._line.fileno(), deadline - time.monotonic()):
                raise NotInTime
            if self._ended and wanted != "ended":  # by a handler
                raise Closed("this display was closed")
            data = self._receive()
            del self._arrived[:]  # no sooner: whoever is interrupted before finds it again
            message = data.decode("utf-8", "surrogateescape")
            if f"{message} ".startswith(f"{wanted} "):
                return message[len(wanted) + 1 :]
            answered = " ".join(message.split(" ", 2)[:2])
            if answered in self._wanted:
                self._kept[answered] = message[len(answered) + 1 :]
            word, _, rest = message.partition(" ")
            self._take_note(word, rest, wanted)
        return self._kept.pop(wanted)

    def _take_note(self, word: str, rest: str, wanted: str) -> None:
        """Take note of another message than the one that is waited for; raise StartFailed where that won't come."""
        if word == "exited":
            self.exit_code = int(rest)
            if wanted == "ready":
                raise StartFailed(f"Xvfb ended with exit code {rest} before it was ready{self._told()}")
        if word == "failed" and wanted != "ended":
            raise StartFailed(f"the display could not be started{': ' * bool(rest)}{printable(rest)}{self._told()}")
        if word == "gone":  # as the shell above says
            self._fate = _ending(int(rest))
            if wanted == "ready":
                raise StartFailed(f"the display's supervisor {self._fate} before the display was ready{self._told()}")
        if word in ("", "gone"):
            raise self._gone()

    def _receive(self) -> bytes:
        """Return a message, empty where the line has ended, and keep the descriptors that came with it."""
        try:
            if not self._arrived:
                # Not socket.recv_fds, which forgets its flags: programs that keep descriptors would inherit these.
                # Stored inside the call that takes them: there is no moment at which nobody has the descriptors.
                message = map(self._line.recvmsg, (8192,), (_RIGHTS,), (socket.MSG_CMSG_CLOEXEC,))
                self._arrived.extend(message)
        except ConnectionResetError as error:
            if not is_the_kernels(error):
                raise
            return b""
        self._own_descriptors()
        return self._arrived[0][0]

    def _own_descriptors(self) -> None:
        """Keep the descriptors of what has arrived: once; only one message brings any."""
        descriptors = array("i", b"".join(each[2] for each in self._arrived[0][1]))
        if not self._descriptors:
            self._descriptors.extend(map(Descriptor, descriptors))

    def _told(self) -> str:
        """Return what the server said, each line once, as the end of a sentence."""
        lines = [printable(re.sub(r"\(EE\)\s*", "", line).strip()) for line in self.said().splitlines()]
        if any(line.startswith("use: X") for line in lines) and _FATAL in lines:
            lines = lines[lines.index(_FATAL) :]  # after a hundred lines on what it understands
        # A server that ends complains of framebuffers that it has not made, or that are gone. Of equal lines the last.
        told = [line for line in dict.fromkeys(reversed(lines)) if line and not line.startswith("unlink")][::-1]
        cut = ["…"] if len(told) > _TOLD_LINES else []
        return f"; it said: {' | '.join(cut + told[-_TOLD_LINES:])}" if told else "; it said nothing"

    def _gone(self) -> StartFailed:
        fate = f" ({self._fate})" if self._fate else ""
        return StartFailed(f"the display's supervisor was killed{fate}; close the display and start another")

    def _check_owner(self) -> None:
        if os.getpid() != self._owner:
            raise Closed(
                f"this display belongs to process {self._owner}, from which this one was forked; start one here"
            )
        if self._ended:
            raise Closed("this display was closed")


def _readable(descriptor: int, seconds: float) -> bool:
    return process_groups.wait((descriptor,), time.monotonic() + seconds) == descriptor


def _is_child(pid: int) -> bool:
    """Tell whether a process is a child of ours that nobody has waited for."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _is_alive(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None


def _kill_children(shell: int) -> None:
    """End the children of a process, which is a child of ours that nobody has waited for."""
    for each in process_groups.processes():
        if each.parent == shell:
            with Ignored(ProcessLookupError):
                pidfd = owned(os.pidfd_open, each.pid)
                now = process_groups.process(each.pid)
                if now is not None and now.parent == shell:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _ending(status: int) -> str:
    """Say what a shell's exit status says of the program that it has waited for."""
    if _BY_SIGNAL < status <= _BY_SIGNAL + signal.NSIG:
        return f"ended with signal {status - _BY_SIGNAL}"
    return f"ended with exit code {status}"
