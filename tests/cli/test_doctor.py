"""`xshm doctor`: what it says where all is well, and in places where something is truly missing, full or refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import namespaces
import pytest
import Xlib
from terminals import Terminal

import xshm
from xshm import sysv
from xshm.cli.doctor.fact import parted
from xshm.cli.doctor.libraries import PACKAGES
from xshm.errors import StartFailed
from xshm.shm import own_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

_WHOLE = [sys.executable, "-m", "xshm", "doctor"]
_COMMAND = [sys.executable, "-S", "-m", "xshm", "doctor"]
_ROOT = Path(xshm.__file__).parents[1]
_SITE = Path(Xlib.__file__).parents[1]
_NEEDED = ("Xlib", "six.py", "numpy", "numpy.libs", "PIL", "pillow.libs", "isal")
Facts = dict[str, dict[str, str]]


@pytest.fixture(scope="module", autouse=True)
def _few_libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have Python find what xshm needs, and none of the extras, whose imports take longer than all else."""
    directory = tmp_path_factory.mktemp("libraries")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{_ROOT}:{having(directory, *_NEEDED)}")
        yield


def having(directory: Path, *names: str) -> Path:
    """Make a directory of libraries out of those that are installed here."""
    for name in names:
        (directory / name).symlink_to(_SITE / name)
    return directory


def plain() -> dict[str, str]:
    """Return this environment without a display and without variables of ours."""
    dropped = ("DISPLAY", "XAUTHORITY")
    return {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith("XSHM_")}


def examined(run: subprocess.CompletedProcess[str]) -> Facts:
    """Return the facts of a run by their names, after a look at what its parts say of each other."""
    said = json.loads(run.stdout)
    wrong = [fact["name"] for fact in said["facts"] if fact["state"] == "wrong"]
    assert (run.returncode, said["ok"]) == ((1, False) if wrong else (0, True)), run.stderr
    assert run.stderr == ""
    return {fact["name"]: fact for fact in said["facts"]}


def doctor(*flags: str, before: str = "", **changed: str) -> Facts:
    """Run the doctor, after some lines of shell."""
    script = f'{before}\nexec "$@"'
    command = ["/bin/sh", "-c", script, "sh", *_COMMAND, "--json", *flags]
    return examined(
        subprocess.run(command, env=plain() | changed, capture_output=True, text=True, check=False, timeout=30)
    )


def in_namespaces(script: str) -> Facts:
    """Run the doctor in mount, IPC and other namespaces of its own, after some lines of shell that change them."""
    unset = " ".join(name for name in os.environ if name not in plain())
    command = ["sh", "-c", f'unset {unset} DISPLAY\n{script}\nexec "$@"', "sh", *_COMMAND, "--json"]
    try:
        return examined(namespaces.run_in(command, capture_output=True, timeout=30))
    except namespaces.NotAllowed as error:
        pytest.skip(str(error))


def states(facts: Facts, state: str) -> set[str]:
    return {name for name, fact in facts.items() if fact["state"] == state}


# -- where all is well -------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_where_all_is_there_and_a_colour_comes_back(xvfb: Server) -> None:
    command = [*_WHOLE, "--json"]
    facts = examined(subprocess.run(command, env=xvfb.env(), capture_output=True, text=True, check=False))
    assert states(facts, "wrong") == set()
    for package in PACKAGES:
        assert facts[package.name]["value"] == version(package.name)
    assert "Xvfb" in facts["VirtualDisplay"]["value"]
    assert facts["transport"]["value"].startswith("sysv: ")
    assert facts["MIT-SHM"]["value"] == "1.2"
    for name in ("DAMAGE", "XFIXES", "XTEST", "RANDR", "Composite"):
        assert re.fullmatch(r"\d+\.\d+", facts[name]["value"])
    assert "drawn and read in" in facts["virtual display"]["value"]
    assert facts["DISPLAY"]["value"].startswith(f"{xvfb.name}: ")


def test_least_versions_and_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {("", each) for each in project["dependencies"]}
    wanted |= {(extra, each) for extra in ("fast", "video", "live", "fleet", "pytest") for each in extras[extra]}
    wanted.remove(("fleet", "tqdm>=4.66"))  # which is listed with the first extra that has it
    stated = {(extra, each.partition(";")[0]) for extra, each in wanted}
    assert stated == {(each.extra, f"{each.name}>={each.least}") for each in PACKAGES}


# -- libraries ---------------------------------------------------------------------------------------------------------


def test_without_any_library_it_says_which_and_how_each_is_installed() -> None:
    facts = doctor(PYTHONPATH=str(_ROOT))
    assert states(facts, "wrong") == {"python-xlib", "numpy", "pillow", "virtual display"}
    assert facts["numpy"]["remedy"] == f"{sys.executable} -m pip install 'numpy>=2.0'"
    assert facts["av"]["remedy"] == f"{sys.executable} -m pip install 'xshm[video]'"
    assert {"isal", "opencv-python-headless", "av", "tqdm", "pytest"} <= states(facts, "missing")
    assert "Xlib" in facts["virtual display"]["value"]
    assert facts["Xvfb"]["state"] == "ok", "what does not need them is examined all the same"


def test_a_display_is_reached_without_numpy(xvfb: Server, tmp_path: Path) -> None:
    few = having(tmp_path, "Xlib", "six.py", "PIL", "pillow.libs")
    facts = doctor("--display", xvfb.name, PYTHONPATH=f"{_ROOT}:{few}")
    assert states(facts, "wrong") == {"numpy", "virtual display"}
    assert facts["transport"]["state"] == facts["DAMAGE"]["state"] == "ok"


def test_a_library_that_is_broken_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "tqdm.py").write_text("raise RuntimeError('half of it is missing')")
    facts = doctor(PYTHONPATH=f"{tmp_path}:{os.environ['PYTHONPATH']}")
    assert facts["tqdm"]["state"] == "wrong"
    assert "RuntimeError: half of it is missing" in facts["tqdm"]["value"]


# -- programs ----------------------------------------------------------------------------------------------------------


def test_with_nothing_on_path_it_says_where_the_servers_are() -> None:
    facts = doctor(PATH="/nonexistent")
    assert states(facts, "wrong") == {"VirtualDisplay", "virtual display"}
    assert facts["Xvfb"]["state"] == "missing"
    assert "though there is /usr/bin/Xvfb" in facts["Xvfb"]["value"]
    assert facts["Xvfb"]["remedy"] == 'export PATH="$PATH:/usr/bin"'
    cured = doctor(before=f"PATH=/nonexistent\n{facts['Xvfb']['remedy']}")
    assert states(cured, "wrong") == set()


def test_a_system_without_servers_is_told_its_own_command() -> None:
    facts = in_namespaces(
        "printf 'ID=fedora\\n' >/dev/shm/os; mount --bind /dev/shm/os /etc/os-release; "
        "mount -t tmpfs none /usr/local/bin; "
        "for each in Xvfb Xvnc Xwayland; do [ ! -e /usr/bin/$each ] || mount --bind /dev/null /usr/bin/$each; done"
    )
    assert states(facts, "wrong") == {"VirtualDisplay", "virtual display"}
    assert facts["VirtualDisplay"]["remedy"] == "dnf install xorg-x11-server-Xvfb"  # without sudo: root's own


# -- the display -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [(":987", "no X server answers at ':987'"), ("what?", "is no display name"), (":0\x1b[31m", "\\x1b[31m")],
)
def test_a_display_that_cannot_be_reached_is_wrong(name: str, words: str) -> None:
    facts = doctor("--display", name)
    assert states(facts, "wrong") == {"DISPLAY"}
    assert words in facts["DISPLAY"]["value"]
    assert facts["DISPLAY"]["remedy"]


def test_a_cookie_that_is_not_there_is_told(tmp_path: Path) -> None:
    with xshm.VirtualDisplay(64, 64) as display:
        facts = doctor(DISPLAY=display.name, XAUTHORITY=str(tmp_path / "none"))
    assert states(facts, "wrong") == {"DISPLAY"}
    assert "there is no authority file" in facts["DISPLAY"]["value"]
    assert facts["DISPLAY"]["remedy"].startswith("export XAUTHORITY=")


# -- limits ------------------------------------------------------------------------------------------------------------


def test_few_descriptors_are_told_with_the_limit_and_how_it_is_raised() -> None:
    facts = doctor(before="ulimit -S -n 12")
    assert states(facts, "wrong") == {"descriptors", "virtual display"}
    assert "of 12 in use" in facts["descriptors"]["value"]
    assert "RLIMIT_NOFILE 12" in facts["virtual display"]["value"]
    assert facts["descriptors"]["remedy"] == "ulimit -n 1024"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("mount -t tmpfs -o mode=1777,size=4m none /dev/shm", "has 4.2 MB free"),
        ("mount -t tmpfs -o mode=0755,ro none /dev/shm", "can't be written"),
        ("mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9", "is no directory"),
    ],
    ids=["full", "read-only", "absent"],
)
def test_a_place_for_framebuffers_that_is_none_is_wrong(script: str, words: str) -> None:
    facts = in_namespaces(script)
    assert "/dev/shm" in states(facts, "wrong")  # noqa: S108 - a fact's name
    assert words in facts["/dev/shm"]["value"]  # noqa: S108 - as above
    assert "size=256m" in facts["/dev/shm"]["remedy"]  # noqa: S108 - as above


def test_the_kernels_limits_are_compared_with_what_is_in_use() -> None:
    facts = in_namespaces(
        "echo 3 >/proc/sys/kernel/shmmni; echo 4096 >/proc/sys/kernel/shmmax; echo 9 >/proc/sys/kernel/shmall"
    )
    assert {"kernel.shmmni", "kernel.shmmax", "kernel.shmall"} <= states(facts, "wrong")
    assert facts["kernel.shmmni"]["value"] == "0 of 3 segments in use"
    mended = "; ".join(facts[name]["remedy"] for name in ("kernel.shmmni", "kernel.shmmax", "kernel.shmall"))
    cured = in_namespaces(f"echo 3 >/proc/sys/kernel/shmmni; ( {mended} ) >/dev/null")
    assert states(cured, "wrong") == set()


def test_without_proc_it_says_what_brings_it() -> None:
    facts = in_namespaces("mount -t tmpfs none /proc")
    assert facts["left segments"]["remedy"] == "mount -t proc proc /proc"
    assert states(in_namespaces(f"mount -t tmpfs none /proc; {facts['left segments']['remedy']}"), "wrong") == set()


def test_what_a_server_said_is_no_remedy() -> None:
    said = StartFailed("Xvfb ended with exit code 1 before it was ready; it said: no keymap")
    assert parted(said) == (str(said), "")
    assert parted(StartFailed("no room; pass a directory")) == ("no room", "pass a directory")


def test_directories_of_others_are_wrong_and_mended_by_what_it_says() -> None:
    spoiled = "chown 1234 /tmp/.X11-unix"
    facts = in_namespaces(spoiled)
    assert states(facts, "wrong") == {"/tmp/.X11-unix"}  # noqa: S108 - a fact's name
    assert "belongs to uid 1234" in facts["/tmp/.X11-unix"]["value"]  # noqa: S108 - as above
    assert states(in_namespaces(f"{spoiled}; {facts['/tmp/.X11-unix']['remedy']}"), "wrong") == set()  # noqa: S108


def test_a_place_for_private_files_that_is_none_is_wrong() -> None:
    if namespaces.covers_this_checkout("/tmp"):  # noqa: S108 - as below
        pytest.skip("this checkout lies in /tmp, in whose place the test puts something else")
    facts = in_namespaces(
        "for each in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o mode=0777 none $each; done\n"
        "export TMPDIR=/nonexistent"
    )
    assert {"private files", "/dev/shm", "virtual display"} <= states(facts, "wrong")  # noqa: S108 - a fact's name
    assert facts["private files"]["remedy"] == 'mkdir -m 700 ~/tmp && export TMPDIR="$HOME/tmp"'


def test_a_segment_that_was_left_is_a_note_with_its_id() -> None:
    before = own_segments._KEYS
    shmid = sysv.shmget(before | 7, 4096, sysv.IPC_CREAT | sysv.libc.IPC_EXCL | 0o600)
    try:
        facts = doctor()
        assert facts["left segments"]["state"] == "note"
        assert str(shmid) in facts["left segments"]["remedy"].split()
    finally:
        sysv.remove(shmid)


# -- variables, and how it is shown ------------------------------------------------------------------------------------


def test_variables_are_told_with_what_reads_them_and_misspelt_ones_with_what_was_meant() -> None:
    facts = doctor(XSHM_SHOT_MAX_EDGE="800", XSHM_MAX_EGDE="800", XSHM_PYTHON=sys.executable)
    assert facts["XSHM_SHOT_MAX_EDGE"]["value"] == "'800', the default of --max-edge of shot"
    assert facts["XSHM_PYTHON"]["state"] == "ok"
    assert (facts["XSHM_MAX_EGDE"]["state"], facts["XSHM_MAX_EGDE"]["remedy"]) == ("note", "is it XSHM_MAX_EDGE?")
    assert facts["DISPLAY"]["state"] == "note", "nobody named one"
    assert states(facts, "wrong") == set()


def test_on_a_terminal_it_has_signs_and_colours_and_lines_that_fit_and_elsewhere_words() -> None:
    environment = plain() | {"PATH": "/nonexistent", "TERM": "xterm", "COLUMNS": "70", "PYTHONUTF8": "1"}
    with Terminal(*_COMMAND, env=environment) as terminal:
        shown = terminal.rest()
        assert terminal.exit_code() == 1
    assert "\x1b[32m✓\x1b[0m  python-xlib" in shown
    assert "\x1b[1;31m2 things are wrong: VirtualDisplay, virtual display.\x1b[0m" in shown
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(len(line) for line in lines if "→" not in line) <= 70
    run = subprocess.run(_COMMAND, env=environment, capture_output=True, text=True, check=False)
    assert not set(run.stdout) & set("\x1b✓✗→")
    assert "  WRONG    VirtualDisplay " in run.stdout


def test_a_width_of_thousands_of_digits_is_none() -> None:
    assert "virtual display" in doctor(COLUMNS="9" * 5000)


def test_an_error_of_usage_is_none_of_the_findings() -> None:
    run = subprocess.run([*_COMMAND, "--nonsense"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
