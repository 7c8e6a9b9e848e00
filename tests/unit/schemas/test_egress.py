"""The guard on the way out: which addresses are connected to, and over which connections."""

from __future__ import annotations

import gzip
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from schemas.binding.client import Egress, Http
from schemas.binding.lookups import Lookups
from schemas.errors import EgressForbidden, PeerUnavailable, TooLarge
from tests.http_server import EndingServer


def guard(address: str, *allowed: str) -> Egress:
    return Egress(Egress.allowing(allowed).allowed, lambda host, port: [address])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:1::1",
        "::7f00:1",
        "::ffff:0:10.0.0.1",
        "64:ff9b:1::a00:1",
        "fec0::1",
        "3fff::1",
        "5f00::1",
    ],
)
def test_an_address_that_is_not_public_is_refused_by_name(address: str) -> None:
    with pytest.raises(EgressForbidden, match=r"name\.example"):
        guard(address).check("https://name.example/x")


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://user:pass-word@name.example/", "file:///etc/passwd", "gopher://x", "", "//x"],
)
def test_what_is_no_plain_url_is_refused_and_no_password_is_shown(url: str) -> None:
    with pytest.raises(EgressForbidden) as refused:
        guard("93.184.216.34").check(url)
    assert "pass-word" not in str(refused.value)


def test_a_public_address_and_an_allowed_network_are_let_through() -> None:
    assert guard("93.184.216.34").check("https://name.example/x")[1] == "93.184.216.34"
    assert guard("10.1.2.3", "10.0.0.0/8").check("https://name.example/x")[1] == "10.1.2.3"


def test_every_address_of_a_name_is_checked() -> None:
    both = Egress(resolve=lambda host, port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(EgressForbidden):
        both.check("https://name.example/x")


def test_a_name_server_that_is_silent_holds_nobody_and_no_other_name() -> None:
    asked: list[str] = []
    answer = threading.Event()

    def look(host: str, _port: int) -> list[str]:
        asked.append(host)
        if host.startswith("slow"):
            answer.wait(20)
        return ["93.184.216.34"]

    patient, hasty = Lookups(look, seconds=20), Lookups(look, seconds=0.05, most=2)
    guarded = Egress(resolve=hasty)
    for _ in range(3):
        with pytest.raises(PeerUnavailable, match=r"slow\.example.*did not answer within 0\.05 s"):
            guarded.check("https://slow.example/x")
    assert asked == ["slow.example"], "who asks again waits for the same answer"
    assert Egress(resolve=patient).check("https://quick.example/x")[1] == "93.184.216.34"
    assert guarded.check("https://quick.example/x")[1] == "93.184.216.34"
    with pytest.raises(PeerUnavailable, match="did not answer"):
        guarded.check("https://slow-too.example/x")
    with pytest.raises(PeerUnavailable, match="2 names are being looked up, as many as may"):
        guarded.check("https://quick.example/x")
    assert asked[-1] == "slow-too.example"
    answer.set()
    for thread in threading.enumerate():
        if thread.name == "lookup":
            thread.join(20)
    assert guarded.check("https://slow.example/x")[1] == "93.184.216.34"


def test_a_name_that_nobody_knows_is_refused_as_such() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(PeerUnavailable, match=r"nowhere\.example.*Name or service not known"):
        Egress(resolve=Lookups(unknown)).check("https://nowhere.example/x")
    assert Egress.allowing(["127.0.0.0/8", "::1/128"]).check("https://localhost/x")[1] in ("127.0.0.1", "::1")


def test_plain_http_is_for_loopback_only() -> None:
    with pytest.raises(EgressForbidden, match="use https"):
        guard("93.184.216.34").check("http://name.example/x")
    with pytest.raises(EgressForbidden, match="use https"):
        guard("10.1.2.3", "10.0.0.0/8").check("http://name.example/x")
    assert guard("127.0.0.1", "127.0.0.0/8").check("http://name.example/x")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/", "https://u:p@x/", "https://", "gopher://x"]
)
def test_only_plain_web_urls_are_opened(url: str) -> None:
    with pytest.raises(EgressForbidden):
        Egress().check(url)


def test_a_name_that_does_not_resolve_says_so() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(PeerUnavailable, match="does not resolve"):
        Egress(resolve=fail).check("https://gone.example")


@pytest.fixture
def server() -> Iterator[tuple[int, list[tuple[str, int]]]]:
    """A server that notes host header and connection of each request."""
    seen: list[tuple[str, int]] = []

    class Door(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append((str(self.headers["Host"]), self.client_address[1]))
            if self.path == "/redirect":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:1/secret")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = b"x" * 5000
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    door = EndingServer(("127.0.0.1", 0), Door)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    yield door.server_address[1], seen
    door.shutdown()
    door.server_close()


def test_two_names_at_one_address_never_share_a_connection(server: tuple[int, list[tuple[str, int]]]) -> None:
    port, seen = server
    client = Http(guard("127.0.0.1", "127.0.0.0/8"))
    for name in ("one.example", "two.example", "one.example"):
        assert client.get(f"http://{name}:{port}/").ok
    client.close()
    assert [host for host, _ in seen] == [f"{n}.example:{port}" for n in ("one", "two", "one")]
    assert seen[0][1] == seen[2][1] != seen[1][1]


def test_redirects_are_not_followed_and_long_answers_are_cut_off(
    server: tuple[int, list[tuple[str, int]]],
) -> None:
    port, _ = server
    client = Http(guard("127.0.0.1", "127.0.0.0/8"))
    assert client.get(f"http://x.example:{port}/redirect").status == 302
    with pytest.raises(TooLarge, match="1000"):
        client.get(f"http://x.example:{port}/", most=1000)
    client.close()


def answering(head: bytes, body: bytes) -> socket.socket:
    """Listen for one request, and answer it so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        peer, _ = listener.accept()
        with peer, suppress(OSError):
            peer.recv(65_536)
            peer.sendall(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (head, len(body)) + body)

    threading.Thread(target=answer, daemon=True).start()
    return listener


@pytest.mark.parametrize("packed", ["gzip, gzip", "deflate, gzip", "br"])
def test_an_answer_that_is_packed_more_than_once_is_never_unpacked(packed: str) -> None:
    """A few bytes would become a thousand times a thousand times as many before anybody counts them."""
    bomb = gzip.compress(gzip.compress(b"x" * (8 << 20)))
    listener = answering(b"Content-Encoding: %b\r\n" % packed.encode(), bomb)
    client = Http(guard("127.0.0.1", "127.0.0.0/8"), timeout=5)
    with pytest.raises(PeerUnavailable, match=f"'{packed}'; we take gzip or none"):
        client.get(f"http://x.example:{listener.getsockname()[1]}/", most=1000)
    client.close()
    listener.close()


def test_an_answer_that_is_packed_once_is_unpacked_and_counted_as_it_then_is() -> None:
    packed = gzip.compress(b"x" * 5000)
    for most in (5000, 4999):
        listener = answering(b"Content-Encoding: gzip\r\n", packed)
        client = Http(guard("127.0.0.1", "127.0.0.0/8"), timeout=5)
        url = f"http://x.example:{listener.getsockname()[1]}/"
        if most == 5000:
            assert client.get(url, most=most).body == b"x" * 5000
        else:
            with pytest.raises(TooLarge, match="4999"):
                client.get(url, most=most)
        client.close()
        listener.close()


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_drips_is_given_up_when_its_time_is_over(part: str) -> None:
    """The peer sends a byte at a time, each of them well within the time of a step."""
    listener = socket.create_server(("127.0.0.1", 0))
    gone = threading.Event()

    def drip() -> None:
        peer, _ = listener.accept()
        with peer, suppress(OSError):
            peer.recv(65_536)
            if part == "body":
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            for _ in range(100_000):
                peer.sendall(b"x")
                time.sleep(0.01)
        gone.set()

    threading.Thread(target=drip, daemon=True).start()
    client = Http(guard("127.0.0.1", "127.0.0.0/8"), timeout=5, total=0.3)
    with pytest.raises(PeerUnavailable, match=r"not done after 0\.3 s|timed out"):
        client.get(f"http://x.example:{listener.getsockname()[1]}/")
    assert gone.wait(10), "the connection was closed as well"
    client.close()
    listener.close()
