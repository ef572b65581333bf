"""numpy is imported at its first use, and as a whole, whatever happens meanwhile."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from xshm._numpy import np

# What runs once numpy's import has come to its middle, in whatever thread.
_BEGIN = """
import importlib.abc, os, signal, sys, threading, time
from xshm._numpy import np

class Middle(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "numpy.linalg":
            in_the_middle()

sys.meta_path.insert(0, Middle())
assert "numpy" not in sys.modules
"""

_HANDLER = """
def raising(*_):
    raise LookupError

def in_the_middle():
    os.kill(os.getpid(), signal.SIGALRM)
    time.sleep(0.05)

signal.signal(signal.SIGALRM, raising)
try:
    np.zeros(3)
except LookupError:
    print("raised", end=" ")
print(np.zeros(3).sum(), np.linalg.norm([3, 4]))
"""

_HANDLERS = """
def raising(*_):
    raise LookupError

def in_the_middle():
    for _ in range(30):
        os.kill(os.getpid(), signal.SIGALRM)
        time.sleep(0.005)

signal.signal(signal.SIGALRM, raising)
raised = 0
while True:
    try:
        found = np.zeros(3).sum(), np.linalg.norm([3, 4])
        break
    except LookupError:
        raised += 1
print(raised > 10, *found)
"""

_FORK = """
def in_the_middle():
    begun.set()
    time.sleep(0.2)

begun = threading.Event()
user = threading.Thread(target=lambda: np.zeros(3))
user.start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(10)
    print("child", np.linalg.norm([3, 4]), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
user.join()
"""

_ABSENT = """
def in_the_middle():
    raise ImportError("a part of numpy is missing")

for _ in range(2):
    try:
        np.zeros(3)
    except ImportError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        pytest.param(_HANDLER, "raised 0.0 5.0\n", id="a signal handler raises"),
        pytest.param(_HANDLERS, "True 0.0 5.0\n", id="signal handlers raise again and again"),
        pytest.param(_FORK, "child 5.0\n0\n", id="another thread forks"),
    ],
)
def test_it_is_imported_as_a_whole(program: str, printed: str) -> None:
    run = subprocess.run([sys.executable, "-c", _BEGIN + program], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == (printed, "")


def test_an_import_that_fails_says_why_each_time() -> None:
    run = subprocess.run([sys.executable, "-c", _BEGIN + _ABSENT], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("a part of numpy is missing\n" * 2, "")


def test_what_stands_for_it_is_copied_and_pickled_as_itself() -> None:
    assert copy.deepcopy(np) is copy.copy(np) is pickle.loads(pickle.dumps(np)) is np  # noqa: S301 - our own
