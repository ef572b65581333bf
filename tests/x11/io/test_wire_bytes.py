"""The wire's bytes: messages read from a stream, requests written to one, and the descriptors sent with them."""

from __future__ import annotations

import array
import os
import select
import socket
import sys
import threading

from fake_server import REQUEST, FakeServer, error, event, generic_event, is_open, reply
from hypothesis import given
from hypothesis import strategies as st

from xshm.x11.io.packet_reader import PacketReader
from xshm.x11.protocol.requests import Ledger, Request, bounded_request

# -- framing ---------------------------------------------------------------------------------------------------------


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, bytes, list[bytes | None], list[bytes]]:
    """Draw what a server says to some requests: replies, errors or nothing, with events of all kinds in between."""
    requests = draw(st.integers(1, 6))
    said, answers, events = b"", [], []
    for serial in range(1, requests + 1):
        keymap = bytes([11]) + os.urandom(31)  # KeymapNotify: the one event without a sequence number
        before = draw(st.lists(st.sampled_from([event(serial - 1, 5), keymap]), max_size=2))
        before += draw(
            st.lists(st.sampled_from([event(serial, 6, 0x80 | 33), generic_event(serial, bytes(8))]), max_size=2)
        )
        said += b"".join(before)
        events += before
        answer = draw(st.sampled_from([None, reply(serial), reply(serial, b"abcd" * 20), error(serial)]))
        said += answer or b""
        answers.append(answer)
    return requests, said, answers, events


@given(streams(), st.lists(st.integers(1, 90), max_size=30))
def test_messages_are_the_same_however_the_bytes_arrive(
    stream: tuple[int, bytes, list[bytes | None], list[bytes]], sizes: list[int]
) -> None:
    requests, said, answers, events = stream
    ledger = Ledger(Request(REQUEST) for _ in range(requests))
    ledger.sent = requests
    for serial, pending in enumerate(ledger, start=1):
        pending.serial = serial
    sent = list(ledger)
    incoming = PacketReader(ledger)
    at = 0
    for size in [*sizes, len(said)]:
        if said[at : at + size]:
            incoming.parsed = False
            incoming.chunks.append((said[at : at + size], [], 0, None))
            incoming.dispatch()
        at += size
    assert [pending.reply or pending.error for pending in sent] == answers
    assert list(incoming.events) == events


def test_a_reply_of_many_megabytes_arrives_whole(fake_server: FakeServer) -> None:
    body = os.urandom(9_000_000)
    fake_server.send_after((4, reply(1, body) + event(1, 1)))
    pending = fake_server.wire.call(REQUEST)
    assert pending.reply == reply(1, body)
    assert fake_server.wire.next_event(fake_server.wire.events, 5) == event(1, 1)


def test_a_large_reply_belongs_to_its_receiver_alone(fake_server: FakeServer) -> None:
    fake_server.send_after((4, reply(1, bytes(100_000))))
    pending = fake_server.wire.call(REQUEST)
    message, pending.reply = pending.reply, None
    del pending
    assert message is not None
    assert sys.getrefcount(message) == 2, "the wire keeps a picture that nobody asked it to keep"


def test_a_request_larger_than_the_socket_arrives_whole_and_before_the_next(fake_server: FakeServer) -> None:
    large, small = os.urandom(5_000_000), os.urandom(8)
    heard: list[bytes] = []
    listener = threading.Thread(target=lambda: heard.append(fake_server.receive(len(large) + len(small))))
    listener.start()
    fake_server.wire.send(Request(large))
    fake_server.wire.send(Request(small))
    fake_server.wire.flush()
    listener.join()
    assert heard == [large + small]


def test_requests_that_were_sent_do_not_hold_their_bytes(fake_server: FakeServer) -> None:
    for _ in range(3):
        fake_server.wire.send(Request(bytes(1000)))
    fake_server.wire.flush()
    fake_server.wire.send(Request(bytes(1000)))
    fake_server.wire.flush()
    fake_server.receive(4000)
    assert sum(len(pending.data) for pending in fake_server.wire._ledger) == 0


def test_a_queued_request_is_sent_by_the_next_wait(fake_server: FakeServer) -> None:
    fake_server.wire.send(Request(b"queued!!"))
    assert fake_server.receives_nothing()
    fake_server.send_after((12, reply(2)))
    assert fake_server.wire.call(REQUEST).done


# -- descriptors -----------------------------------------------------------------------------------------------------


def test_a_descriptor_travels_with_its_own_request(fake_server: FakeServer) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", 0) as pipe:
        for data, descriptors in ((b"one ", ()), (b"two ", (writer,)), (b"three   ", ())):
            fake_server.wire.send(bounded_request(0, data, descriptors=descriptors))
        fake_server.wire.flush()
        os.close(writer)
        heard, rights = b"", array.array("i")
        while len(heard) < 16:
            data, control, _, _ = fake_server.socket.recvmsg(100, socket.CMSG_SPACE(64))
            heard += data
            for _, _, numbers in control:
                assert heard.startswith(b"one two "), "a descriptor is to arrive with its request, or before"
                assert len(heard) - len(data) <= 4, "nor may it come after the request's first byte"
                rights.frombytes(numbers)
        assert heard == b"one two three   "
        (received,) = rights
        os.write(received, b"through")
        os.close(received)
        assert pipe.read(10) == b"through"


def test_received_descriptors_are_in_the_order_of_their_replies_and_closed_with_their_owner(
    fake_server: FakeServer,
) -> None:
    fake_server.send_after((4, reply(1)))
    fake_server.wire.expect_descriptors()
    pipes = [os.pipe() for _ in range(3)]
    pending = [bounded_request(0, REQUEST) for _ in range(3)]
    for each in pending:
        each.received = []
        fake_server.wire.send(each)
    fake_server.send(reply(2, nfd=1), (pipes[0][1],))
    fake_server.send(reply(3, nfd=2), (pipes[1][1], pipes[2][1]))
    fake_server.send(error(4))
    for _, writer in pipes:
        os.close(writer)
    fake_server.wire.wait(pending[2])
    numbers = []
    for each, expected in zip(pending, (pipes[:1], pipes[1:], []), strict=True):
        assert each.received is not None
        assert len(each.received) == len(expected)
        for descriptor, (reader, _) in zip(each.received, expected, strict=True):
            assert not os.get_inheritable(descriptor), "a program started now would get it"
            os.write(descriptor, b"x")
            assert os.read(reader, 5) == b"x"
            numbers.append(int(descriptor))
        each.received = None
    fake_server.wire.send(Request(REQUEST))
    del pending, each, descriptor
    assert not any(map(is_open, numbers))
    for reader, _ in pipes:
        assert os.read(reader, 5) == b"", "somebody still holds the other end"
        os.close(reader)


def test_descriptors_that_came_for_nobody_are_closed_with_the_wire(fake_server: FakeServer) -> None:
    fake_server.send_after((4, reply(1)))
    fake_server.wire.expect_descriptors()
    reader, writer = os.pipe()
    pending = bounded_request(0, REQUEST)
    fake_server.wire.send(pending)
    pending.received = []
    fake_server.wire.send(Request(REQUEST))
    fake_server.send(event(1, 1) + reply(2, nfd=1)[:20], (writer,))  # half a reply
    os.close(writer)
    assert fake_server.wire.next_event(fake_server.wire.events) == event(1, 1)
    assert not select.select([reader], [], [], 0)[0]
    fake_server.wire.close()
    assert os.read(reader, 1) == b""
    os.close(reader)
