"""A single seat as a Ray actor, whose methods are called as those of any actor: seat.do.remote(function)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xshm.fleet import cluster
from xshm.fleet.room import worker_memory
from xshm.fleet.seats import Seat, checked_kind, checked_programs, checked_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xshm.virtual.processes.command import Command
    from xshm.virtual.spec import DisplaySpec

_LOOKS: Final = ("grab", "preview", "changed", "info")


def seat(
    spec: DisplaySpec | None = None,
    kind: type[Seat] = Seat,
    *,
    programs: Sequence[Command] = (),
    **ray_options: Any,
) -> Any:
    """Start a Seat, or a class of seats of your own, as a Ray actor; return Ray's handle of it.

        seat = fleet.seat(DisplaySpec(1920, 1080), programs=["xterm"])
        title = ray.get(seat.do.remote(lambda display: display.screen.windows()[0].title))
        frame = ray.get(seat.grab.remote())

    `grab`, `changed` and `info` are answered while a `do` runs. The display ends with the actor: `ray.kill(seat)`, the
    handle's end, or its driver's. When its worker or node dies, Ray starts it again from the description
    (max_restarts=-1), with `set_up` and the programs; calls that were under way raise Ray's RayActorError, and are not
    repeated (max_task_retries=0). `ray_options` are Ray's options of actors, and come first.

    One for which no node has room waits for it, and its calls with it, as Ray's actors do: `fleet.capacity` says how
    many fit. An exception of the display's start is Ray's ActorDiedError at the first call. Raises InvalidType,
    InvalidArgument, MissingExtra.
    """
    described, commands = checked_spec(spec), checked_programs(programs)
    chosen = checked_kind(kind)
    module = cluster.ray()
    cluster.connect()
    options = cluster.options(ray_options, memory=worker_memory(described, 1), nice=cluster.niceness())
    looks = {
        name: module.method(concurrency_group=cluster.group_of(name))(_forwarded(getattr(chosen, name)))
        for name in _LOOKS
    }
    actor = type(chosen.__name__, (chosen,), {**looks, "_is_activated": True, "__module__": chosen.__module__})
    options = {"max_restarts": -1, "max_task_retries": 0, **options}
    return (
        module.remote(concurrency_groups=cluster.groups(1))(actor)
        .options(**options)
        .remote(described, programs=commands)
    )


def _forwarded(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of its own that calls a method: Ray writes what it is told of a method on the function.

    By functools.wraps it would lead to the method itself, which Ray would take, and what it was told would be lost.
    """

    def forwarded(seat: Seat, *args: Any, **kwargs: Any) -> Any:
        return method(seat, *args, **kwargs)

    forwarded.__name__, forwarded.__doc__ = method.__name__, method.__doc__
    return forwarded
