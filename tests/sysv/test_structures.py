"""The structures of every known platform by size and offset, and ENOSYS on any other."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from sysv_kernel import run_python

from xshm import sysv
from xshm.sysv._structures import PLATFORMS, platform_name, running

if TYPE_CHECKING:
    from pathlib import Path

# Of each field offset and size in bytes. 32-bit times are two words: 8 bytes, aligned to 4.
LINUX64_PERM = {
    "key": (0, 4), "uid": (4, 4), "gid": (8, 4), "cuid": (12, 4), "cgid": (16, 4), "mode": (20, 4), "seq": (24, 2),
}  # fmt: skip
LINUX64_DESC = {
    "perm": (0, 48), "segsz": (48, 8), "atime": (56, 8), "dtime": (64, 8), "ctime": (72, 8), "cpid": (80, 4),
    "lpid": (84, 4), "nattch": (88, 8),
}  # fmt: skip
LINUX32_PERM = LINUX64_PERM | {"mode": (20, 2)}
LINUX32_DESC = {
    "perm": (0, 36), "segsz": (36, 4), "atime": (40, 8), "dtime": (48, 8), "ctime": (56, 8), "cpid": (64, 4),
    "lpid": (68, 4), "nattch": (72, 4),
}  # fmt: skip
DARWIN_PERM = {
    "uid": (0, 4), "gid": (4, 4), "cuid": (8, 4), "cgid": (12, 4), "mode": (16, 2), "seq": (18, 2), "key": (20, 4),
}  # fmt: skip
DARWIN_DESC = {
    "perm": (0, 24), "segsz": (24, 8), "lpid": (32, 4), "cpid": (36, 4), "nattch": (40, 2), "atime": (44, 8),
    "dtime": (52, 8), "ctime": (60, 8),
}  # fmt: skip
EXPECTED = {
    "linux x86_64": (48, LINUX64_PERM, 112, LINUX64_DESC),
    "linux aarch64": (48, LINUX64_PERM, 112, LINUX64_DESC),
    "linux i386": (36, LINUX32_PERM, 84, LINUX32_DESC),
    "linux arm": (36, LINUX32_PERM, 84, LINUX32_DESC),
    "darwin x86_64": (24, DARWIN_PERM, 76, DARWIN_DESC),
    "darwin arm64": (24, DARWIN_PERM, 76, DARWIN_DESC),
}


def public_fields(record: type[ctypes.Structure]) -> dict[str, tuple[int, int]]:
    names = [field[0] for field in record._fields_]
    fields = {name: getattr(record, name) for name in names if not name.startswith("_")}
    return {name: (field.offset, field.size) for name, field in fields.items()}


def test_every_known_platform_is_checked() -> None:
    assert EXPECTED.keys() == PLATFORMS.keys()


@pytest.mark.parametrize("platform", EXPECTED)
def test_structures_have_the_platforms_sizes_and_offsets(platform: str) -> None:
    perm, desc = PLATFORMS[platform]
    perm_size, perm_fields, desc_size, desc_fields = EXPECTED[platform]
    assert ctypes.sizeof(perm) == perm_size
    assert public_fields(perm) == perm_fields
    assert ctypes.sizeof(desc) == desc_size
    assert public_fields(desc) == desc_fields


@pytest.mark.parametrize("platform", ["linux i386", "linux arm"])
def test_a_time_of_two_words_is_read_as_one(platform: str) -> None:
    _, desc = PLATFORMS[platform]
    raw = bytearray(84)
    raw[40:48] = (5).to_bytes(4, "little") + (1).to_bytes(4, "little")
    assert desc.from_buffer(raw).atime == 2**32 + 5


def test_the_c_compiler_agrees_on_x86_64(tmp_path: Path) -> None:
    names = {"key": "__key", "seq": "__seq"}
    assert_compiles(tmp_path, "linux x86_64", ["-m64"], ("sys/shm.h", "struct ipc_perm", "struct shmid_ds"), names)


def test_the_c_compiler_agrees_on_i386_with_the_kernels_headers(tmp_path: Path) -> None:
    # The C library's headers for i386 are rarely installed; the kernel's serve both, from the directory of x86-64.
    options = ["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"]
    assert_compiles(tmp_path, "linux i386", options, ("asm/shmbuf.h", "struct ipc64_perm", "struct shmid64_ds"), {})


def assert_compiles(
    directory: Path, platform: str, options: list[str], header_and_names: tuple[str, str, str], renamed: dict[str, str]
) -> None:
    if shutil.which("gcc") is None or running() != "linux x86_64":
        pytest.skip("needs gcc for x86-64")
    header, perm_name, desc_name = header_and_names
    perm_size, perm_fields, desc_size, desc_fields = EXPECTED[platform]
    lines = ["#include <stddef.h>", "#include <linux/posix_types.h>", f"#include <{header}>"]
    for struct, prefix, size, fields in (
        (perm_name, "", perm_size, perm_fields),
        (desc_name, "shm_", desc_size, desc_fields),
    ):
        lines.append(f'_Static_assert(sizeof({struct}) == {size}, "{struct}");')
        for field, (offset, _) in fields.items():
            member = prefix + renamed.get(field, field)
            lines.append(f'_Static_assert(offsetof({struct}, {member}) == {offset}, "{struct}.{member}");')
    source = directory / "layout.c"
    source.write_text("\n".join(lines))
    command: list[str | Path] = ["gcc", *options, "-fsyntax-only", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_printed_structures_show_their_fields_and_no_padding() -> None:
    printed = repr(sysv.ShmDesc(segsz=5, nattch=2))
    assert "segsz=5" in printed
    assert "nattch=2" in printed
    assert "mode=0, seq=0)" in printed
    assert "_reserved" not in printed
    assert "_pad" not in printed


def test_on_another_platform_the_import_works_and_every_use_says_which_are_known() -> None:
    printed = run_python(
        """
        import errno, sys
        sys.platform = "sunos5"
        from xshm import sysv
        from xshm.shm import own_segments
        assert sysv.IPC_CREAT == 0o1000
        own_segments.look_once()
        for use in (
            lambda: sysv.shmget(sysv.IPC_PRIVATE, 4096, sysv.IPC_CREAT | 0o600),
            lambda: sysv.shmat(0),
            lambda: sysv.shmctl(0, sysv.IPC_RMID),
            lambda: sysv.stat(0),
            lambda: sysv.ftok("/", 1),
            lambda: sysv.segments(),
            lambda: sysv.ShmDesc(),
            lambda: sysv.IpcPerm(),
            lambda: own_segments.make(4096),
        ):
            try:
                use()
            except OSError as error:
                print(errno.errorcode[error.errno], error.strerror)
        """
    )
    known = "linux x86_64, linux aarch64, linux i386, linux arm, darwin x86_64, darwin arm64"
    machine = running().split()[1]
    message = (
        f"ENOSYS System V shared memory: the layouts of its structures are not known on sunos5 {machine}; "
        f"they are on {known} (of which linux x86_64 is tested)"
    )
    assert printed.splitlines() == [message] * 9


@pytest.mark.parametrize(
    ("machine", "bits", "multiarch", "name"),
    [
        ("x86_64", 64, "x86_64-linux-gnu", "linux x86_64"),
        ("x86_64", 32, "i386-linux-gnu", "linux i386"),
        ("x86_64", 32, "x86_64-linux-gnux32", "linux x86_64 with 32-bit pointers"),
        ("i686", 32, "", "linux i386"),
        ("aarch64", 64, "", "linux aarch64"),
        ("aarch64", 32, "", "linux arm"),
        ("armv7l", 32, "", "linux arm"),
        ("armv7b", 32, "", "linux armv7b with 32-bit pointers"),
        ("ppc64le", 64, "", "linux ppc64le"),
    ],
)
def test_a_platform_is_named_by_what_the_interpreter_runs_as(
    machine: str, bits: int, multiarch: str, name: str
) -> None:
    assert platform_name("linux", machine, bits, multiarch) == name
