"""Ray: imported where it is used, started where none runs, and what its actors are to be like for displays."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from xshm import _arguments
from xshm.errors import InvalidArgument, InvalidType, MissingExtra
from xshm.system.printable import quoted
from xshm.virtual.processes import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

# By Ray's default its workers, and all that they start, give way to everything else on the machine (nice 15).
_NICENESS: Final = {"RAY_worker_niceness": "0"}
# Of a Ray that is started here, for this program alone: none of it is reachable from other machines.
_STARTED: Final = {**_NICENESS, "RAY_USAGE_STATS_ENABLED": "0"}
_OF_TOKENS: Final = "ray._private.authentication.authentication_token_setup"  # who warns that there is a token
CPUS: Final = 0.25  # of a display, as Ray counts: most of the time a display waits
_ANSWER: Final = 60.0  # seconds for the answer of a worker that has to be started first
_HAVE_OPTIONS: Final = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
_LEAST: Final = 0.001  # of an accelerator's type, which Ray counts so that no other node is taken
_OUTLIVING: Final = ("get_if_exists", "lifetime", "name")
_LOOKS, _WAITS = 4, 8  # at one seat, at the same time


def ray() -> Any:
    """Return the module. Raises MissingExtra."""
    try:
        import ray as module  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra("a fleet needs Ray: pip install 'xshm[fleet]'") from error
    return module


def connect() -> bool:
    """Connect this process to Ray, where it is not yet; return whether that started a Ray of its own.

    It is the one of $RAY_ADDRESS, else the one that `ray start` has started on this machine, else a new one, which says
    nothing of its start. $RAY_ADDRESS=local always has a new one.
    """
    module = ray()
    if module.is_initialized():
        return False
    # No address="auto", which finds any Ray of the machine, also one that ends with the program that has started it;
    # nor the address itself, with which Ray does not use the token that the other side may want.
    address = os.environ.get("RAY_ADDRESS", "")
    if address not in ("", "local"):
        module.init()
        return False
    if not address and module._private.utils.read_ray_address():  # noqa: SLF001 - else `init` starts one, as it likes
        with contextlib.suppress(ConnectionError):  # what `ray start` has begun here has ended since
            module.init()
            return False
    with environment.changed({name: os.environ.get(name, value) for name, value in _STARTED.items()}), _quiet():
        module.init(
            address="local",
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            logging_level=max(logging.WARNING, logging.getLogger("ray").level),
        )
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray from saying that it has started, and that a token guards it; what else it warns of is to be seen."""
    loggers = [logging.getLogger(name) for name in ("ray", _OF_TOKENS)]
    levels = [each.level for each in loggers]
    logging.getLogger(_OF_TOKENS).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def session() -> str:
    """Return the name of this process's connection to Ray; "" where there is none. Each one has another."""
    module = sys.modules.get("ray")
    if module is None or not module.is_initialized():
        return ""
    return str(module.get_runtime_context().get_worker_id())


def node() -> str:
    """Return the id of the Ray node that this process is on; "" where it is none's."""
    module = sys.modules.get("ray")
    if module is None or not module.is_initialized():
        return ""
    return str(module.get_runtime_context().get_node_id())


def niceness() -> int:
    """Return the nice value that workers have, asked of one."""
    module = ray()
    found: int = module.get(module.remote(num_cpus=0)(_nice).remote(), timeout=_ANSWER)
    return found


def _nice() -> int:
    return os.nice(0)


def check_of_pool(given: Mapping[str, Any]) -> None:
    """Raise InvalidArgument for options by which an actor outlives who has made it, or is shared."""
    if taken := [name for name in _OUTLIVING if given.get(name) is not None]:
        raise InvalidArgument(
            f"a pool's workers have no names, and end with it: it does not take {' and '.join(taken)}; fleet.seat does"
        )


def options(given: Mapping[str, Any], *, memory: int, nice: int) -> dict[str, Any]:
    """Return the options of an actor: what its caller gave, and ours where nothing was said.

    `nice` is what the workers of these nodes have; where it is not 0, the actor gets an environment that sets it, which
    takes half a second at its start.
    """
    chosen: dict[str, Any] = {"num_cpus": CPUS, "memory": memory, "scheduling_strategy": "SPREAD", **given}
    if nice:
        asked = dict(chosen.get("runtime_env") or {})
        chosen["runtime_env"] = {**asked, "env_vars": {**_NICENESS, **asked.get("env_vars", {})}}
    return chosen


def counted(given: Mapping[str, Any]) -> dict[str, float]:
    """Return what Ray counts for an actor of these options beside its CPUs and its memory, by Ray's names.

    Raises InvalidArgument, InvalidType.
    """
    named = {} if given.get("resources") is None else given["resources"]
    if not isinstance(named, Mapping):
        raise InvalidType(f"resources is a mapping of names to numbers, as in {{'disk': 1}}, not {quoted(named)}")
    if own := sorted({*named} & _HAVE_OPTIONS.keys()):
        raise InvalidArgument(f"{own[0]} is no name in resources: pass {_HAVE_OPTIONS[own[0]]}=")
    found = {
        _arguments.text(name, "a resource has a name"): _arguments.amount(each, "a resource is a number, 0 or more")
        for name, each in named.items()
    }
    if given.get("num_gpus") is not None:
        found["GPU"] = _arguments.amount(given["num_gpus"], "num_gpus is a number, 0 or more")
    if kind := given.get("accelerator_type"):
        found[f"accelerator_type:{kind}"] = _LEAST
    return {name: each for name, each in found.items() if each}


def groups(seats: int) -> dict[str, int]:
    """Return how many calls of each kind an actor of so many seats answers at a time, beside the items' own.

    "look" is for what is answered at once, "wait" for `changed`, which may wait for as long as it is told to; "life"
    for a pool's own calls, which no other one may keep waiting.
    """
    return {"look": _LOOKS * seats, "wait": _WAITS * seats, "life": 1 + seats}


def group_of(method: str) -> str:
    """Return the kind of a call of a seat's."""
    return "wait" if method == "changed" else "look"
