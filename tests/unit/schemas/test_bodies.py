"""Bodies of messages, as they come over a socket: bounded in size and in time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse

from schemas.binding.server import bounded_body, install_errors
from tests.faulty_space import Served, listen


@pytest.fixture
def port() -> Iterator[int]:
    """A door that takes bodies of 1,000 bytes within 0.4 s."""
    app = FastAPI()

    async def take(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await bounded_body(request, 1000, 0.4))))

    app.add_api_route("/take", take, methods=["POST"], response_model=None)
    install_errors(app, "/dsp")
    listener, number = listen()
    served = Served(app, listener)
    served.start()
    yield number
    served.stop()


def ask(port: int, *headers: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), 20)
    head = "".join(f"{header}\r\n" for header in ("Host: localhost", *headers))
    line.sendall(f"POST /take HTTP/1.1\r\n{head}\r\n".encode())
    return line


def answered(line: socket.socket, expected: bytes) -> bytes:
    line.settimeout(20)
    got = b""
    while expected not in got and (more := line.recv(65536)):
        got += more
    return got


def test_a_body_that_drips_is_given_up_in_time_and_others_are_served_meanwhile(port: int) -> None:
    with ask(port, "Content-Length: 1000") as slow:
        slow.settimeout(0.02)
        got = b""
        for at in range(500):
            slow.sendall(b"x")
            if at == 2:
                with ask(port, "Content-Length: 3") as quick:
                    quick.sendall(b"abc")
                    assert answered(quick, b"\r\n\r\n3").startswith(b"HTTP/1.1 200 ")
            with suppress(TimeoutError):
                got = slow.recv(65536)
                break
        got += b"" if b"send all of it" in got else answered(slow, b"send all of it")
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"within 0.4 s" in got


def test_who_waits_for_a_word_before_the_body_gets_it(port: int) -> None:
    with ask(port, "Content-Length: 3", "Expect: 100-continue") as line:
        assert answered(line, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        line.sendall(b"abc")
        assert answered(line, b"\r\n\r\n3").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: -3",),
        ("Content-Length: 3x",),
        ("Transfer-Encoding: chunked, identity",),
    ],
)
def test_a_body_of_two_lengths_is_never_taken_for_two_messages(port: int, headers: tuple[str, ...]) -> None:
    smuggled = b"3\r\nabc\r\n0\r\n\r\nPOST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny"
    with ask(port, *headers) as line:
        with suppress(OSError):
            line.sendall(smuggled)
            line.shutdown(socket.SHUT_WR)
        got = b""
        with suppress(ConnectionError):
            while more := line.recv(65536):
                got += more
    assert got.startswith(b"HTTP/1.1 4") or b"\r\n\r\n3" in got
    assert got.count(b"HTTP/1.1 200") <= 1
