"""Items of one `map`: in their order, as many ahead as are wanted, with a line of progress on a terminal.

An item's exception is raised in its place; who goes on after it gets the next item's result. What the items' own
iterator raises is raised after the results of the items that it gave.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from xshm.errors import Closed, FleetError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

T = TypeVar("T")


class Items(Generic[T]):
    """An iterator over results. `submit` has an item run, `ahead` is how many may be under way or wait to be taken."""

    def __init__(
        self,
        items: Iterable[Any],
        submit: Callable[[int, Any], Future[T]],
        pool: object,
        *,
        ahead: int,
        return_exceptions: bool,
        progress: bool,
    ) -> None:
        self._items = enumerate(items)
        self._submit = submit
        self._pool = pool  # it lives as long as its results are waited for
        self._ahead = ahead
        self._return_exceptions = return_exceptions
        self._futures: deque[tuple[int, Future[T]]] = deque()
        self._broken: Exception | None = None  # what the items' own iterator has raised: its turn is after theirs
        self._owner = os.getpid()
        self._line = _line(getattr(items, "__len__", lambda: None)()) if progress else None
        self._is_over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """Return the next item's result, or raise its exception; iteration can go on after that."""
        self._fill(0)
        if not self._futures:
            self.close()
            broken, self._broken = self._broken, None
            if broken is not None:
                raise broken
            raise StopIteration
        number, future = self._futures[0]
        try:
            error = future.exception()
        except CancelledError:
            error = Closed("the items were closed")
        self._fill(1)  # while the caller uses this one; before it is taken out, so that an interrupt loses nothing
        if self._futures:
            self._futures.popleft()
        if self._line is not None:
            self._line.update()
        if error is None:
            return future.result()
        if self._return_exceptions:
            return error  # type: ignore[return-value]  # T has it then: see the overloads of DisplayPool.map
        if isinstance(error, StopIteration):  # it would say that there are no more items
            raise FleetError(f"item {number} has raised StopIteration: {error}") from error
        raise error

    def close(self) -> None:
        """Run no further items. Those that run already run to their end; their results are not kept."""
        self._is_over = True
        for _, future in self._futures:
            future.cancel()
        self._futures.clear()
        if self._line is not None:
            self._line.close()
            self._line = None

    def __repr__(self) -> str:
        state = "closed" if self._is_over and not self._futures else f"{len(self._futures)} under way or not taken"
        return f"<Items of {self._pool!r}, {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # In a forked child, another thread of the parent's may have held a Future's lock.
        if getattr(self, "_futures", None) and os.getpid() == self._owner:
            self.close()

    def _fill(self, taken: int) -> None:
        """Have items run, until so many are ahead; `taken` ones do not count."""
        while len(self._futures) < self._ahead + taken and not self._is_over:
            try:
                number, item = next(self._items)
            except StopIteration:
                self._is_over = True
                return
            except Exception as error:  # noqa: BLE001 - whatever the caller's own code raises
                self._broken, self._is_over = error, True
                return
            self._futures.append((number, self._submit(number, item)))


def is_wanted(progress: bool | None) -> bool:
    """Return whether there is to be a line: on a terminal, where nothing else was said. Raises MissingExtra."""
    if progress is None:
        return sys.stderr is not None and sys.stderr.isatty()
    return progress


def _line(total: int | None) -> Any:
    try:
        from tqdm import tqdm  # noqa: PLC0415 - only a terminal needs it
    except ImportError as error:
        raise MissingExtra(
            "a line of progress needs tqdm: pip install 'xshm[fleet]'; or pass progress=False"
        ) from error
    return tqdm(total=total, unit=" items")
