"""The supervisor of a virtual display: the server's parent process, which ends and removes all of the display.

It ends on request of its owner, when the owner's end of the control socket is closed, or when the owner has ended, by
SIGKILL too. Then nothing is left: no server, no program of the display, no directory, socket or segment. Forked
children of the owner change nothing about that, nor does a Ctrl-C or a SIGTERM that goes to every process. When the
supervisor itself is killed, the server gets SIGTERM (`parent_death_signal`), and the shell above does the rest
(`cleanup`).

The interpreter takes the place of a shell (`launch_script`) while the server gets ready, so the time that the imports
take counts: no `os`, `signal`, `subprocess`, `typing` here. Its first message is "hello": before that the owner does
not know that the process is an interpreter.

Messages, one datagram of words each, in both directions of the control socket:

    to the owner                                    from the owner
    hello                                           group MARK
    ready NUMBER PID HAS_SOCKET_FILE + descriptors  exited MARK
    failed REASON                                   stop MARK
    exited [CODE]        (the server)               wake
    group MARK NUMBER                               end
    stopped MARK LEFT
    woken
    ended PROBLEMS
    gone STATUS          (by the shell: the supervisor was killed)
"""

from __future__ import annotations

import _socket
import posix
import sys
import time

from xshm.virtual.processes import process_groups, program_groups
from xshm.virtual.servers import cleanup, parent_death_signal
from xshm.virtual.servers import server_files as files

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Mapping

    from xshm.virtual.servers.log_tee import LogTee

_CONTROL, _LOG = 0, 2  # standard input and standard error, as `launch_script` has them


class Supervisor:
    """One display, described by the values that the shell's script has passed on.

    `ready`: a descriptor, on which the server writes its number. `owner`: the owner's pidfd. `parent_death`: a
    descriptor that the server has inherited. `screens`: how many. `swept`: directories, one a line, in which killed
    displays may have left something. `directory`, `memory`, `kept`: those of the authority file, of framebuffers that
    are handed over, of framebuffers that stay ("": none). `server`: its process id, "" for none, "failed" where it was
    not started, "later" where this process starts it, with a compositor: then `words` are the command lines of both, of
    the compositor the first `compositor` words, and `number` is the descriptor for the server's number. `kind`: "sysv"
    where it makes System V segments. `tee`: where the log is to be copied, three
    descriptors with commas: both ends of the pipe that is the server's standard error, and the target.
    """

    def __init__(self, values: Mapping[str, str], words: list[str]) -> None:
        self._ready, self._owner, self._screens = (int(values[name]) for name in ("ready", "owner", "screens"))
        self._parent_death = int(values["parent_death"])
        self._swept = values["swept"].split("\n") if values["swept"] else []
        self._directory, self._memory, self._kept = values["directory"], values["memory"], values["kept"]
        self._kind = values["kind"]
        self._control = _socket.socket(fileno=_CONTROL)
        self._send("hello")
        self._failed: str | None = "" if values["server"] == "failed" else None  # why there is no server
        self._pid = int(values["server"]) if values["server"].isdigit() else 0
        self._compositor, self._compositor_pidfd = 0, -1
        if values["server"] == "later":
            self._start_both(words, int(values["compositor"]), int(values["number"]), values["tee"])
        self._tee = _open_tee(values["tee"])
        self._groups = program_groups.ProgramGroups(self._owner)
        self._directories = [name for name in (self._memory, self._directory) if name]
        self._is_ready = False
        # A shell reaps a child that ends before it becomes this process, and then the number may be anybody's.
        self._is_reaped = bool(self._pid) and not _is_child(self._pid)
        self._pidfd = posix.pidfd_open(self._pid) if self._pid and not self._is_reaped else -1
        self._number = b""  # what the server has written on `ready` so far

    def run(self) -> bool:
        """Serve the owner until the end, and clean up; return whether nothing is left for the shell to do."""
        try:
            if self._pid:
                self._prepare_for_kills()
            if self._failed is not None:
                self._send(f"failed {self._failed}")
            elif self._is_reaped:
                self._send("exited")
            elif not self._pid:
                self._send("ready")
            self._serve()
        except (OSError, ValueError) as error:
            self._send(f"failed {error}")
        problems = []
        for step in (self._end_programs, self._end_server, self._remove_segments, self._remove_files, self._flush):
            try:
                step()
            except (OSError, ValueError) as error:
                problems.append(str(error))
        self._send(f"ended {'; '.join(problems)}")
        return not problems or not files.status(self._directory)

    # -- the server ----------------------------------------------------------------------------------------------------

    def _start_both(self, words: list[str], count: int, number: int, tee: str) -> None:
        """Start the server with its compositor, whose command line has `count` words."""
        from xshm.virtual.servers import compositor  # noqa: PLC0415 - needed for few displays

        errors = int(tee.split(",")[1]) if tee else _LOG
        try:
            self._compositor, self._pid = compositor.start(
                words[:count], words[count:], self._directory, number, errors
            )
            self._compositor_pidfd = posix.pidfd_open(self._compositor)
        except OSError as error:
            self._failed = str(error)
        posix.close(number)

    def _prepare_for_kills(self) -> None:
        """Arrange that nothing is left should this process be killed; and clean up after killed displays."""
        # The writing end and the locks stay open until this process ends: their closing is what others notice.
        if not self._is_reaped:
            self._writing_end = parent_death_signal.arm(self._parent_death, self._pid)
        self._locks = [files.lock(directory) for directory in self._directories]
        files.write_note(self._directory, "supervisor", "")  # by which the shell knows that this is an interpreter
        cleanup.sweep(self._swept)

    def _is_number_read(self) -> bool:
        """Read what has come of the display number: its digits, and the newline, which the server writes separately.

        Return whether that was the rest of it, or the server has closed the pipe.
        """
        data = posix.read(self._ready, 64)
        self._number += data
        return not data or data.endswith(b"\n")

    def _read_number(self) -> None:
        if self._is_number_read():
            posix.close(self._ready)
            self._ready = -1
            if self._number.endswith(b"\n"):
                number = self._number.strip().decode("ascii", "replace")
                if not number.isdigit():  # it becomes part of paths
                    raise ValueError(f"in place of its display's number the server wrote {number!r}")
                self._send_ready(number)

    def _send_ready(self, number: str) -> None:
        """Send the owner all that it needs of a server that is ready, its framebuffers included."""
        files.add_display_number(f"{self._directory}/Xauthority", number)
        noted = files.socket_of(number, self._pid)
        files.write_note(self._directory, "socket", " ".join(noted))
        self._is_ready = True
        descriptors = [self._pidfd]
        if self._memory:
            for screen in range(self._screens):
                path = files.framebuffer_file(self._memory, screen)
                descriptors.append(posix.open(path, posix.O_RDWR | posix.O_CLOEXEC))
            files.remove_directory(self._memory)  # the files go on without a name
            self._directories.remove(self._memory)
        self._send(f"ready {number} {self._pid} {int(len(noted) > 1)}", descriptors)
        for descriptor in descriptors[1:]:
            posix.close(descriptor)

    def _reap_server(self) -> None:
        code = posix.waitstatus_to_exitcode(posix.waitpid(self._pid, 0)[1])
        if self._tee:
            self._tee.drain()  # the owner reads the log when it learns of the end
        posix.close(self._pidfd)
        self._pidfd = -1
        self._end_compositor()
        self._send(f"exited {code}")

    def _end_compositor(self) -> None:
        """End the compositor of a server that has ended; as a rule it ends by itself."""
        if self._compositor_pidfd >= 0:
            process_groups.end_process(self._compositor_pidfd)
            posix.waitpid(self._compositor, 0)
            posix.close(self._compositor_pidfd)
            self._compositor_pidfd = -1

    def _end_server(self) -> None:
        if self._pidfd < 0:
            return
        # A server that is still starting has made a keymap and a socket, and removes them only once it is ready.
        deadline = time.monotonic() + process_groups.GRACE
        while self._ready >= 0 and process_groups.wait((self._ready, self._pidfd), deadline) == self._ready:
            if self._is_number_read():
                break
        process_groups.end_process(self._pidfd)
        self._reap_server()

    # -- the owner -----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Handle messages of the owner and events of the server, until the display is to end."""
        going_on = True
        while going_on:
            pipe, with_room = (self._tee.pipe, self._tee.waiting_for_room) if self._tee else (-1, ())
            server = (self._ready, self._pidfd, self._compositor_pidfd)
            sources = (self._control.fileno(), self._owner, *server, pipe)
            fired = process_groups.wait(
                tuple(source for source in sources if source >= 0), self._groups.idle_at, with_room
            )
            if fired < 0:
                self._groups.reap_empty()
            elif self._tee and fired == pipe:
                self._tee.drain()
            elif self._tee and fired in with_room:
                self._tee.forward()
            elif fired == self._ready:
                self._read_number()
            elif fired == self._pidfd:
                self._reap_server()
            elif fired == self._compositor_pidfd:
                self._end_server()  # it can do nothing without, and as a rule has ended already
            else:
                going_on = fired != self._owner and self._handle_message()

    def _handle_message(self) -> bool:
        """Receive a message from the owner and carry it out; return False where it ends the display."""
        match self._control.recv(64).decode("ascii").split():
            case ["group", mark]:
                self._send(f"group {mark} {self._groups.make(int(mark))}")
            case ["exited", mark]:
                self._groups.program_exited(int(mark))
            case ["stop", mark]:
                self._send(f"stopped {mark} {', '.join(self._groups.end(int(mark)))}")
            case ["wake"]:
                self._send("woken")
            case _:  # "end", or nothing: the owner's end of the socket is closed
                return False
        return True

    def _send(self, words: str, descriptors: list[int] | None = None) -> None:
        rights = b"".join(descriptor.to_bytes(4, sys.byteorder) for descriptor in descriptors or ())
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if rights else []
        try:  # noqa: SIM105 - contextlib is slow to import
            self._control.sendmsg([words.encode("utf-8", "surrogateescape")], ancillary)
        except OSError:
            pass  # the owner is gone, and its pidfd will report that

    # -- the end -------------------------------------------------------------------------------------------------------

    def _end_programs(self) -> None:
        if left := self._groups.end_all():
            raise OSError(f"{', '.join(left)} did not end")

    def _remove_segments(self) -> None:
        """Remove the segments that the server has made and the owner has not taken over."""
        if self._kind and self._pid:
            cleanup.remove_segments(self._directory, [self._pid])

    def _remove_files(self) -> None:
        """Remove the files, and the private directory last: by that, others find what a kill of this process leaves."""
        if self._pid:
            if not self._is_ready:  # the server was killed while it started
                cleanup.end_keymap_compiler(posix.getpgrp())
            cleanup.remove_socket(self._directory)
        if self._kept:
            files.remove_framebuffers(self._kept, self._screens)
        for directory in self._directories:
            files.remove_directory(directory)

    def _flush(self) -> None:
        """Copy the rest of the log, as long as its reader reads."""
        if self._tee:
            self._tee.drain()
            deadline = time.monotonic() + process_groups.GRACE
            while (target := self._tee.waiting_for_room) and process_groups.wait((), deadline, target) in target:
                self._tee.forward()


def _is_child(pid: int) -> bool:
    """Tell whether a process is a child of this one, whether it runs or has ended."""
    try:
        posix.waitid(posix.P_PID, pid, posix.WEXITED | posix.WNOWAIT | posix.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _open_tee(descriptors: str) -> LogTee | None:
    if not descriptors:
        return None
    from xshm.virtual.servers.log_tee import LogTee  # noqa: PLC0415 - needed for few displays

    pipe, servers_end, target = (int(number) for number in descriptors.split(","))
    posix.close(servers_end)
    return LogTee(pipe, _LOG, target)


def main() -> None:
    """Run the supervisor that the command line describes: the package's path, then NAME=VALUE words.

    The command lines of a compositor and its server follow after "--". The script has it ignore the signals that go to
    all processes of a job: it has to outlive the others.
    """
    values = sys.argv[2 : sys.argv.index("--")]
    words = sys.argv[len(values) + 3 :]
    is_finished = Supervisor(dict(word.split("=", 1) for word in values), words).run()
    posix._exit(cleanup.FINISHED if is_finished else 1)  # noqa: SLF001 - its public name
