"""The small process beside a virtual display: the server's parent, which takes away all that is left of it.

It ends when it is told to, or when the process that owns the display has ended in whatever way. Then nothing stays: no
server, no program of the display's groups, no directory, socket or segment. A forked child of the owner changes nothing
about that, nor does a Ctrl-C or a SIGTERM that reaches everybody. Should this process be killed itself, the server ends
with it (`lifeline`), and the shell above it takes the rest away (`remains`); while the server gets ready, it does the
same for displays whose processes were killed all at once.

A shell begins as this process: it starts the server, and an interpreter takes its place while the server gets ready. So
what is imported here takes no time: no os, no signal, no subprocess. The first word to the owner is "hello": until it
comes, the owner does not know that the interpreter is one.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of `signal`, whose enums take longer than all the rest
import _socket
import posix
import sys
import time

from xshm.virtual.processes import process_groups
from xshm.virtual.servers import lifeline, program_groups, remains
from xshm.virtual.servers import server_files as files

TYPE_CHECKING = False  # that of typing takes its time
if TYPE_CHECKING:
    from xshm.virtual.servers.log_tee import LogTee

# What a terminal or a service manager sends to every process it knows. Ours is to outlive them.
IGNORED_SIGNALS = (
    *(_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2),
    *(_signal.SIGPIPE, _signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU),
)
_RIGHTS = _socket.CMSG_SPACE(4)  # bytes: a program's pidfd
_CONTROL, _LOG = 0, 2  # the line to the owner is our standard input; standard error is the log


class Supervisor:
    """One display.

    The words are two descriptors (where the server says its number, the owner's pidfd) and the number of screens; a
    descriptor for the server's lifeline; a line for each directory in which killed displays may have left something;
    three directories, "" for none: with the authority file, with framebuffers that are handed over, with framebuffers
    that stay; the server's process id, "" where there is none to look after, "failed" where it was not started; "sysv"
    where it makes System V segments; and, where the log is to be copied on, three descriptors with commas: both ends of
    the pipe that is the server's standard error, and the target.
    """

    def __init__(self, words: list[str]) -> None:
        self._ready, self._owner, self._screens, self._life = (int(word) for word in words[:4])
        places, self._directory, self._memory, self._kept, pid, self._kind, tee = words[4:]
        self._places = places.split("\n") if places else []
        self._control = _socket.socket(fileno=_CONTROL)
        self._tell("hello")
        self._tee = _tee(tee)
        self._groups = program_groups.ProgramGroups(self._owner)
        self._directories = [name for name in (self._directory, self._memory) if name]
        self._authority = f"{self._directory}/Xauthority"
        self._socket: files.SocketFile | None = None
        self._started = int(time.time()) - 1
        self._failed = pid == "failed"
        self._pid = int(pid) if pid.isdigit() else 0
        self._pidfd = posix.pidfd_open(self._pid) if self._pid else -1
        self._said = b""  # by the server, on its number

    def run(self) -> None:
        """Serve the owner until the end, and clean up."""
        try:
            if self._pid:
                self._take_charge()
            if self._failed:
                self._tell("failed")
            elif not self._pid:
                self._tell("ready")
            self._serve()
        except (OSError, ValueError) as error:
            self._tell(f"failed {error}")
        problems = []
        for step in (self._end_programs, self._end_server, self._remove_files, self._remove_segments, self._flush):
            try:
                step()
            except (OSError, ValueError) as error:
                problems.append(str(error))
        self._tell(f"ended {'; '.join(problems)}")

    def _end_programs(self) -> None:
        if left := self._groups.end_all():
            raise OSError(f"{', '.join(left)} did not end")

    # -- the server ----------------------------------------------------------------------------------------------------

    def _take_charge(self) -> None:
        """See to it that nothing stays should this process be killed; and remove what others have left meanwhile."""
        self._lifeline = lifeline.tie(self._life, self._pid)
        self._locks = [remains.lock(directory) for directory in self._directories]
        remains.note(self._directory, "supervisor", "")  # which shows the shell that this is an interpreter
        posix.chmod(self._authority, 0o600)  # nobody else could reach it before, either
        remains.sweep(self._places)

    def _read_number(self) -> None:
        """Read on what the server says of its number: the digits first, and the newline in a second write."""
        said = posix.read(self._ready, 64)
        self._said += said
        if said and not self._said.endswith(b"\n"):
            return
        posix.close(self._ready)
        self._ready = -1
        if said:
            self._announce(self._said.strip().decode("ascii"))

    def _announce(self, number: str) -> None:
        files.add_number(self._authority, number)
        self._socket = files.SocketFile(number, self._pid)
        remains.note(self._directory, "socket", self._socket.noted)
        descriptors = [self._pidfd]
        if self._memory:
            for screen in range(self._screens):
                path = f"{self._memory}/Xvfb_screen{screen}"
                descriptors.append(posix.open(path, posix.O_RDWR | posix.O_CLOEXEC))
            files.remove_directory(self._memory)
            self._directories.remove(self._memory)
        self._tell(f"ready {number} {self._pid} {int(self._socket.exists)}", descriptors)
        for descriptor in descriptors[1:]:
            posix.close(descriptor)

    def _bury(self) -> None:
        """Take note of the server's death."""
        code = posix.waitstatus_to_exitcode(posix.waitpid(self._pid, 0)[1])
        if self._tee:
            self._tee.drain()  # the owner reads it when it hears of the end
        posix.close(self._pidfd)
        self._pidfd = -1
        self._tell(f"exited {code}")

    def _end_server(self) -> None:
        if self._pidfd < 0:
            return
        # One that is still starting has a keymap and a socket half made; it tidies up only once it is up.
        deadline = time.monotonic() + process_groups.GRACE
        while self._ready >= 0 and process_groups.wait((self._ready, self._pidfd), deadline) == self._ready:
            self._said += (said := posix.read(self._ready, 64))
            if not said or self._said.endswith(b"\n"):
                break
        process_groups.end_process(self._pid, self._pidfd)
        self._bury()

    # -- the owner -----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        going_on = True
        while going_on:
            pipe, with_room = (self._tee.pipe, self._tee.waiting_for_room) if self._tee else (-1, ())
            sources = (self._control.fileno(), self._owner, self._ready, self._pidfd, pipe)
            fired = process_groups.wait(
                tuple(source for source in sources if source >= 0), self._groups.idle_at, with_room
            )
            if fired < 0:
                self._groups.forget_empty()
            elif self._tee and fired == pipe:
                self._tee.drain()
            elif self._tee and fired in with_room:
                self._tee.forward()
            elif fired == self._ready:
                self._read_number()
            elif fired == self._pidfd:
                self._bury()
            else:
                going_on = fired != self._owner and self._obey()

    def _obey(self) -> bool:
        said, rights, _, _ = self._control.recvmsg(64, _RIGHTS, _socket.MSG_CMSG_CLOEXEC)
        words = said.decode("ascii").split()
        match words:
            case ["group", mark]:
                self._tell(f"group {mark} {self._groups.make(int(mark))}")
            case ["program", mark, pid]:
                for _, _, pidfd in rights:  # none where there is no room for another descriptor
                    self._groups.started(int(mark), int(pid), int.from_bytes(pidfd, sys.byteorder))
            case ["left", mark]:
                self._groups.left(int(mark))
            case ["stop", mark]:
                self._tell(f"stopped {mark} {', '.join(self._groups.end(int(mark)))}")
            case ["wake"]:
                self._tell("woken")
            case _:  # "end", or the end of the line
                return False
        return True

    def _tell(self, words: str, descriptors: list[int] | None = None) -> None:
        rights = b"".join(descriptor.to_bytes(4, sys.byteorder) for descriptor in descriptors or ())
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if rights else []
        try:  # noqa: SIM105 - contextlib takes its time
            self._control.sendmsg([words.encode("utf-8", "surrogateescape")], ancillary)
        except OSError:
            pass  # the owner is gone, which its pidfd says too

    # -- what is left --------------------------------------------------------------------------------------------------

    def _remove_files(self) -> None:
        if self._socket is None and self._pid:
            remains.end_heirs(posix.getpgrp())
            remains.remove_socket(self._directory)  # of a server that was killed while it started
        for directory in self._directories:
            files.remove_directory(directory)
        if self._kept:
            files.remove_framebuffers(self._kept, self._screens)
        if self._socket is not None:
            self._socket.remove()

    def _remove_segments(self) -> None:
        """Remove the segments that the server made and that nobody took over."""
        if self._kind and self._pid:
            files.remove_segments([self._pid], self._started)

    def _flush(self) -> None:
        """Copy on what is left of the log, as long as its reader reads."""
        if self._tee:
            self._tee.drain()
            deadline = time.monotonic() + process_groups.GRACE
            while (left := self._tee.waiting_for_room) and process_groups.wait((), deadline, left) in left:
                self._tee.forward()


def _tee(descriptors: str) -> LogTee | None:
    if not descriptors:
        return None
    from xshm.virtual.servers.log_tee import LogTee  # noqa: PLC0415 - needed for few displays

    pipe, servers_end, target = (int(number) for number in descriptors.split(","))
    posix.close(servers_end)
    return LogTee(pipe, _LOG, target)


def main() -> None:
    """Be the supervisor that the command line describes."""
    for number in IGNORED_SIGNALS:
        _signal.signal(number, _signal.SIG_IGN)
    Supervisor(sys.argv[2:]).run()
    posix._exit(0)  # noqa: SLF001 - its public name
