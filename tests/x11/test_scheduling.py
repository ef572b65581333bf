"""The end of a turn: SYNC's requests against xcffib's encodings of them, and what a real server does then."""

from __future__ import annotations

from typing import Any

import xcffib.sync
from displays import painted_pointer
from recorder import Recorder

from xshm.x11 import scheduling
from xshm.x11.protocol import core
from xshm.x11.protocol.xlib import request
from xshm.x11.scheduling import TurnEnd

_OPCODE = 134


def test_requests_have_the_bytes_that_xcffib_gives_them() -> None:
    encoded = Recorder(_OPCODE, xcffib.sync.syncExtension)
    fields: dict[str, Any] = {"opcode": _OPCODE, "counter": 0x200001}
    create = scheduling.CreateCounter._request.to_binary(**fields, high=5, low=7)
    assert create == encoded("CreateCounter", 0x200001, (5, 7))
    assert scheduling.DestroyCounter._request.to_binary(**fields) == encoded("DestroyCounter", 0x200001)
    at_least = xcffib.sync.TESTTYPE.PositiveComparison
    types: Any = xcffib.sync
    trigger = types.TRIGGER.synthetic(0x200001, types.VALUETYPE.Absolute, (0, 0), at_least)
    condition = types.WAITCONDITION.synthetic(trigger, (2**31 - 1, 2**32 - 1))
    assert scheduling.pack_await(_OPCODE, 0x200001) == encoded("Await", 1, [condition])


def test_between_two_turns_the_server_paints_the_pointer_that_it_has_taken_off() -> None:
    with painted_pointer() as (display, pixels, painted):
        connection, root = display.screen.connection, display.screen.xlib.screen().root
        turn_end = TurnEnd(connection)

        def is_painted(*, at_the_end_of_the_turn: bool) -> bool:
            connection.wire.send(core.image_request(root.id, 950, 530, 30, 30))
            if at_the_end_of_the_turn:
                turn_end.queue()
            answer = connection.send(request.GetInputFocus)
            for _ in range(10):  # what the server does in the same turn, after its answer
                root.clear_area(0, 600, 1920, 480)
            connection.wait_reply(answer)
            return bool((pixels == painted).all())

        assert all(is_painted(at_the_end_of_the_turn=True) for _ in range(20))
        assert not all(is_painted(at_the_end_of_the_turn=False) for _ in range(20))
