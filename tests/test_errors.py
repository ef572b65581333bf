"""What every exception of xshm can do."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from xshm import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xshm import Screen


def _with_a_message() -> Iterator[errors.XshmError]:
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, errors.XshmError):
            if "__init__" not in vars(kind) and not issubclass(kind, errors.ServerError):
                yield kind("3 of 4 were there")
            if issubclass(kind, errors.ServerError):
                yield kind("BadWindow", code=3, value=7, major=2, minor=0, doing="grab")
            if issubclass(kind, OSError) and "__init__" not in vars(kind):
                yield kind(2, "No such file", "a name")
    yield errors.ServerNonsense("QueryTree", "4 bytes of 32")
    yield errors.SeatLost("its worker was ended", item=3, tries=2)


def _seen(error: BaseException) -> dict[str, Any]:
    return {"args": error.args, "text": str(error), **vars(error), "number": getattr(error, "errno", None)}


@pytest.mark.parametrize("error", list(_with_a_message()), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_is_whole_in_another_process(error: errors.XshmError, protocol: int) -> None:
    error.add_note("on :5")
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert _seen(again) == _seen(error)
    assert getattr(again, "filename", None) == getattr(error, "filename", None)
    assert _seen(copy.copy(error)) == _seen(error)


def test_the_frame_of_a_timeout_goes_with_it(screen: Screen) -> None:
    with pytest.raises(errors.WaitTimeout) as caught:
        screen.wait_change(0.01)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert (again.frame.rgb() == caught.value.frame.rgb()).all()
    assert str(again) == str(caught.value)
