"""A VNC client gets the newest state, in bounds, and is told what becomes of the screen; one that lies is ended."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from painter import Painter
from programs import eventually
from vnc import PASSWORD, RAW, TIGHT, ZRLE, Served, VncClient, encrypted

import xshm
from xshm.errors import InvalidArgument, InvalidType
from xshm.live.channel import Channel
from xshm.live.rfb.password import Attempts, new_password, password_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

_DESKTOP_SIZE, _EXTENDED, _CURSOR, _ALPHA, _NAME, _POSITION = -223, -308, -239, -314, -307, -232


@pytest.fixture
def channel(xvfb: Server) -> Iterator[Channel]:
    with xshm.Screen(xvfb.name) as screen:
        channel = Channel(1, "a title", screen, None, fps=200)
        yield channel
        channel.close()


@pytest.fixture
def served(channel: Channel) -> Iterator[Served]:
    with Served(channel) as served:
        yield served


def _current(client: VncClient, screen: xshm.Screen) -> Any:
    eventually(lambda: client.update() or np.array_equal(client.rgb(), screen.grab().rgb()))


# -- what it is sent ---------------------------------------------------------------------------------------------------


def test_a_client_that_was_away_gets_the_newest_state_and_nothing_between(
    served: Served, screen: xshm.Screen, painter: Painter
) -> None:
    with VncClient(served.port) as slow, VncClient(served.port) as quick:
        for client in (slow, quick):
            client.set_encodings(RAW)
            client.update(incremental=False)
        before = slow.bytes
        for number in range(20):
            painter.fill((0, 0, 200, 200), (number, 255 - number, 7))
            quick.update()
        slow.update()
        assert np.array_equal(slow.rgb(), screen.grab().rgb())
        assert slow.bytes - before < 2 * 200 * 200 * 4


def test_a_client_that_reads_nothing_costs_the_others_nothing(served: Served, painter: Painter) -> None:
    painter.noise((0, 0, 1280, 800))
    with VncClient(served.port) as stopped, VncClient(served.port) as quick:
        stopped.socket.sendall(struct.pack(">BB4H", 3, 0, 0, 0, 1280, 800) * 2000)
        quick.set_encodings(TIGHT)
        quick.update(incremental=False)
        took = []
        for number in range(20):
            began = time.monotonic()
            painter.fill((5, 5, 50, 50), (number, 9, 9))
            quick.update()
            took.append(time.monotonic() - began)
        assert sorted(took)[10] < 0.1
        assert served.service.bytes < 6 * 1280 * 800 * 4


def test_a_still_screen_sends_nothing(served: Served, painter: Painter) -> None:
    painter.fill((0, 0, 9, 9), (1, 2, 3))
    with VncClient(served.port) as client:
        client.update(incremental=False)
        client.ask()
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.read(1)


def test_equal_clients_are_sent_one_encoding(served: Served, painter: Painter) -> None:
    painter.noise((0, 0, 400, 400))
    clients = [VncClient(served.port) for _ in range(8)]
    for client in clients:
        client.set_encodings(TIGHT)
        client.update(incremental=False)
    before = served.service.encoded
    for client in clients:
        client.ask()
    time.sleep(0.1)
    painter.fill((3, 3, 90, 90), (9, 8, 7))
    for client in clients:
        client.take()
        client.socket.close()
    assert served.service.encoded - before <= 2


def test_a_client_that_asks_for_a_part_gets_the_rest_when_it_asks_for_it(
    served: Served, screen: xshm.Screen, painter: Painter
) -> None:
    with VncClient(served.port) as client:
        client.set_encodings(TIGHT)
        client.update(incremental=False)
        painter.fill((0, 0, 50, 50), (200, 0, 0))
        painter.fill((900, 600, 50, 50), (0, 200, 0))
        client.ask(box=(0, 0, 100, 100))
        client.take()
        assert client.rgb()[5, 5].tolist() == [200, 0, 0]
        _current(client, screen)


# -- what it is told ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pseudo", [(_DESKTOP_SIZE,), (_DESKTOP_SIZE, _EXTENDED)])
def test_a_resized_screen_is_told(make_server: Callable[..., Server], pseudo: tuple[int, ...]) -> None:
    server = make_server("Xvnc", 640, 480)
    with xshm.Screen(server.name) as screen, Painter(server) as painter:
        channel = Channel(1, "a title", screen, None, fps=200)
        with Served(channel) as served, VncClient(served.port) as client:
            client.set_encodings(ZRLE, *pseudo)
            client.update(incremental=False)
            assert ((0, 0, 640, 480) in client.sizes) == (_EXTENDED in pseudo)
            server.resize("800x600")
            painter.rectangles()
            eventually(lambda: client.update() or client.pixels.shape == (600, 800))
            _current(client, screen)
        with Served(channel) as served, VncClient(served.port) as client:
            client.update(incremental=False)
            server.resize("640x480")
            client.ask()
            assert client.rest() is not None  # ended: it can't be told
        channel.close()


def test_a_size_that_a_client_wants_is_refused(served: Served) -> None:
    with VncClient(served.port) as client:
        client.set_encodings(TIGHT, _EXTENDED)
        client.update(incremental=False)
        client.socket.sendall(struct.pack(">BxHHBx", 251, 800, 600, 1) + struct.pack(">IHHHHI", 1, 0, 0, 800, 600, 0))
        eventually(lambda: client.update() or client.sizes[-1] == (1, 1, 1280, 800))


def test_the_pointer_is_told_apart_from_the_pixels(served: Served, painter: Painter, screen: xshm.Screen) -> None:
    root = painter.display.screen().root
    root.warp_pointer(300, 200)
    painter.display.sync()
    with VncClient(served.port) as client, VncClient(served.port) as older:
        client.set_encodings(TIGHT, _ALPHA, _CURSOR, _POSITION)
        older.set_encodings(TIGHT, _CURSOR)
        cursor = screen.grab(cursor="layer").cursor
        assert cursor is not None
        wanted = (*cursor.hotspot, cursor.sprite.tobytes())
        eventually(lambda: client.update(incremental=False) or client.cursors[-1] == wanted)
        eventually(lambda: older.update(incremental=False) or older.cursors[-1][:2] == cursor.hotspot)
        height, width = cursor.sprite.shape[:2]
        assert len(older.cursors[-1][2]) == width * height * 4 + (width + 7) // 8 * height
        root.warp_pointer(310, 220)
        painter.display.sync()
        eventually(lambda: client.update() or client.positions[-1] == (310, 220))
        assert np.array_equal(client.rgb(), screen.grab().rgb())


def test_an_ended_screen_is_told_in_words_and_then_the_client_is_ended(make_server: Callable[..., Server]) -> None:
    server = make_server("Xvfb", 640, 480)
    with xshm.Screen(server.name) as screen:
        with Painter(server) as painter:
            painter.fill((0, 0, 640, 480), (240, 240, 240))
            painter.display.set_close_down_mode(1)  # RetainPermanent: what was painted stays
            painter.display.sync()
        channel = Channel(1, "a title", screen, None, fps=200)
        with Served(channel) as served:
            with VncClient(served.port) as client:
                client.set_encodings(TIGHT, _NAME)
                client.update(incremental=False)
                server.kill()
                client.update()
                eventually(lambda: client.names or client.update())
                assert "ended" in client.names[-1]
                picture = client.rgb()
                assert picture[5, 5].tolist() == [80, 80, 80]
                assert (picture == 255).all(axis=2).sum() > 100  # letters
                assert client.rest() == b""
            with pytest.raises(PermissionError, match="ended"):
                VncClient(served.port)
        channel.close()


# -- passwords ---------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_answered_slowly_and_tells_nothing(served: Served) -> None:
    began = time.monotonic()
    with pytest.raises(PermissionError, match="wrong"):
        VncClient(served.port, "sesame13")
    assert time.monotonic() - began > 0.4
    with VncClient(served.port):
        pass
    with pytest.raises(PermissionError) as caught:
        VncClient(served.port, "sesame13", b"RFB 003.003\n")
    assert str(caught.value) == ""


def test_connections_at_once_do_not_make_guessing_faster(served: Served) -> None:
    guesses: list[str] = []

    def guess() -> None:
        try:
            VncClient(served.port, "sesame13")
        except (PermissionError, AssertionError, OSError) as error:
            guesses.append(str(error))

    threads = [threading.Thread(target=guess) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(guesses) == 40  # of which four are answered, after up to four seconds
    assert sum("wrong" in each for each in guesses) <= 4


def test_an_address_that_guesses_is_refused_for_a_while() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    waits = []
    for _ in range(6):
        assert attempts.begin("192.0.2.1") == ""
        waits.append(attempts.wrong("192.0.2.1"))
        attempts.end("192.0.2.1")
    assert waits == [0.5, 1, 2, 4, 8, 8]
    assert "30 seconds" in attempts.begin("192.0.2.1")
    assert attempts.begin("::ffff:192.0.2.1") != ""
    assert attempts.begin("192.0.2.2") == ""
    now[0] = 31
    assert attempts.begin("192.0.2.1") == ""
    attempts.wrong("192.0.2.1")
    assert attempts.begin("192.0.2.1") != ""
    now[0] += 1000
    assert attempts.begin("192.0.2.1") == ""
    attempts.wrong("2001:db8::1")
    assert attempts.wrong("2001:db8::2") == 1
    for number in range(5000):
        attempts.wrong(f"10.0.{number >> 8}.{number & 255}")
    assert len(attempts._known) <= 1024


def test_a_password_that_clients_cut_is_refused() -> None:
    for wrong in ("short", "more than eight", "sesam\u00e912", "sesame\n1"):
        with pytest.raises(InvalidArgument) as caught:
            password_key(wrong)
        assert wrong not in str(caught.value)
    with pytest.raises(InvalidType):
        password_key(b"sesame12")  # type: ignore[arg-type]
    assert len({new_password() for _ in range(50)}) == 50


# -- clients that lie --------------------------------------------------------------------------------------------------


def _hello(port: int) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port), 10)
    found.recv(12)
    return found


def _ends(connection: socket.socket) -> bytes:
    """Return what is sent until the end, which has to come."""
    data = bytearray()
    try:
        while part := connection.recv(1 << 16):
            data += part
    except ConnectionResetError:
        pass
    finally:
        connection.close()
    return bytes(data)


@pytest.mark.parametrize(
    "said",
    [
        *(b"RFB 003.002\n", b"RFB 3.8     \n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 12, b"RFB 999.99\xff\n"),
        *(b"RFB 003.008\n\x01", b"RFB 003.008\n\0", b"RFB 003.007\n\x12", b"RFB 003.008\n\x02" + bytes(16) + b"\1"),
        *(b"RFB 003.003\n" + b"\xff" * 16, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
    ],
)
def test_who_does_not_know_the_password_learns_nothing_of_the_screen(served: Served, said: bytes) -> None:
    connection = _hello(served.port)
    connection.sendall(said)
    connection.shutdown(socket.SHUT_WR)
    answer = _ends(connection)
    assert b"a title" not in answer
    assert len(answer) < 100


@pytest.mark.parametrize(
    "said",
    [
        struct.pack(">BxH", 2, 65535) + bytes(4 * 65535),  # SetEncodings
        struct.pack(">BxxxI", 6, 0xFFFFFFFF),  # ClientCutText
        struct.pack(">BxxxI", 6, 1 << 30) + bytes(1 << 20),
        struct.pack(">BxxxBBBBHHHBBBxxx", 0, 24, 24, 0, 1, 255, 255, 255, 16, 8, 0),  # SetPixelFormat
        struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255, 200, 8, 0),
        struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 0, 0, 0, 0, 0, 0),
        struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255, 8, 8, 0),
        struct.pack(">BxxxBBBBHHHBBBxxx", 0, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0),
        *(bytes((kind,)) + bytes(64) for kind in (1, 7, 100, 150, 248, 250, 255)),
    ],
)
def test_what_the_protocol_or_a_bound_does_not_allow_ends_the_client(served: Served, said: bytes) -> None:
    with VncClient(served.port) as client:
        client.socket.sendall(said)
        client.rest()
    with VncClient(served.port) as other:
        other.update(incremental=False)


def test_a_flood_of_what_is_allowed_costs_little(served: Served, painter: Painter) -> None:
    painter.fill((0, 0, 90, 90), (5, 6, 7))
    flood = struct.pack(">BBHH", 5, 1, 3, 4) * 500 + struct.pack(">BBxxI", 4, 1, 97) * 500
    flood += struct.pack(">BxxxI", 6, 1 << 16) + bytes(1 << 16) + struct.pack(">BB4H", 3, 0, 0, 0, 1280, 800) * 500
    with VncClient(served.port) as client, VncClient(served.port) as other:
        client.socket.setblocking(False)
        cpu, end = time.process_time(), time.monotonic() + 1
        while time.monotonic() < end:
            try:
                client.socket.send(flood)
            except BlockingIOError:
                time.sleep(0.01)
            other.update(incremental=False)
        assert time.process_time() - cpu < 0.9


def test_mutations_of_a_true_conversation_end_or_go_on_and_never_hang(served: Served) -> None:
    randomly = random.Random(7)
    said = b"".join(
        (
            struct.pack(">BxH4i", 2, 4, TIGHT, ZRLE, _CURSOR, _EXTENDED),
            struct.pack(">BxxxBBBBHHHBBBxxx", 0, 16, 16, 0, 1, 31, 63, 31, 11, 5, 0),
            struct.pack(">BB4H", 3, 0, 0, 0, 320, 200),
            struct.pack(">BBHH", 5, 1, 3, 4),
            struct.pack(">BBxxI", 4, 1, 97),
            struct.pack(">BxxxI", 6, 5) + b"hello",
            struct.pack(">BB4H", 3, 1, 0, 0, 1280, 800),
        )
    )
    for _ in range(150):
        mutated = bytearray(said)
        for _ in range(randomly.randint(1, 6)):
            mutated[randomly.randrange(len(mutated))] = randomly.randrange(256)
        del mutated[randomly.randrange(len(mutated)) :]
        connection = _hello(served.port)
        connection.sendall(b"RFB 003.008\n\2")
        challenge = b""
        while len(challenge) < 18:
            challenge += connection.recv(18 - len(challenge))
        connection.sendall(encrypted(PASSWORD.encode(), challenge[2:]) + b"\1" + mutated)
        connection.shutdown(socket.SHUT_WR)
        _ends(connection)
    eventually(lambda: served.service.clients == 0)
    with VncClient(served.port) as client:
        client.update(incremental=False)


def test_nothing_is_left_of_clients_that_have_gone(served: Served) -> None:
    for _ in range(20):
        client = VncClient(served.port)
        client.ask(incremental=False)
        client.socket.close()
    eventually(lambda: not served.service._sessions)
    eventually(lambda: not any(thread.name == "xshm-live-1" for thread in threading.enumerate()))
