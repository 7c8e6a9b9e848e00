"""What is pushed to us: sinks that a foreign control plane opens at our data plane."""

from __future__ import annotations

import fcntl
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pyarrow as pa
import pytest

from tests.signaling import (
    LONGEST,
    PEOPLE,
    ROWS,
    DataPlane,
    data_plane,
    read_stream,
    until,
)

pytestmark = pytest.mark.e2e


# --- what is pushed to us ------------------------------------------------------------------------------


@pytest.fixture
def sink(cut: DataPlane) -> tuple[str, str, str]:
    """The flow, the URL and the pass of a sink of ours."""
    status, answer = cut.call("POST", "/dataflows/prepare", cut.message("http-push"))
    assert status == 200
    address = answer["dataAddress"]
    token = next(item["value"] for item in address["endpointProperties"] if item["name"] == "authorization")
    return answer["dataFlowId"], address["endpoint"], token


def arrow(table: pa.Table = PEOPLE) -> bytes:
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, table.schema) as writer:
        writer.write_table(table)
    return bytes(target.getvalue())


ARROW = "application/vnd.apache.arrow.stream"


def send(cut: DataPlane, url: str, token: str, body: Any, media: str = ARROW) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": media}
    return cut.http.post(url, content=body, headers=headers)


def received(cut: DataPlane) -> set[str]:
    folder = cut.settings.data_dir / "received"
    return {file.name for file in folder.iterdir()} if folder.exists() else set()


def test_an_arrow_stream_that_is_pushed_to_us_is_checked_kept_and_shown(
    cut: DataPlane, sink: tuple[str, str, str]
) -> None:
    flow, url, token = sink
    reply = send(cut, url, token, arrow())
    assert (reply.status_code, reply.json()) == (200, {"bytes": len(arrow()), "rows": ROWS})
    _, shown = cut.management("GET", f"/dataflows/{flow}")
    file = cut.settings.data_dir / "received" / shown["received"]["file"]
    assert file.suffix == ".arrow"
    assert read_stream(file.read_bytes()).equals(PEOPLE)
    assert (shown["received"]["rows"], file.stat().st_mode & 0o777) == (ROWS, 0o600)


def test_bytes_of_another_kind_are_kept_as_they_are(cut: DataPlane, sink: tuple[str, str, str]) -> None:
    flow, url, token = sink
    for body in (b"a,b\n1,2\n", b"\xff\xff\xff\xff but no Arrow", b""):
        assert send(cut, url, token, body, "text/csv").json() == {"bytes": len(body), "rows": None}
        _, shown = cut.management("GET", f"/dataflows/{flow}")
        file = cut.settings.data_dir / "received" / shown["received"]["file"]
        assert (file.suffix, file.read_bytes()) == (".bin", body)


@pytest.mark.parametrize(
    "body", [b"", b"text", arrow()[:-200], arrow()[:5000], arrow().replace(b"\x00" * 8, b"\xff" * 8, 40)]
)
def test_what_says_that_it_is_arrow_and_is_not_is_refused_and_not_kept(
    cut: DataPlane, sink: tuple[str, str, str], body: bytes
) -> None:
    flow, url, token = sink
    before = received(cut)
    reply = send(cut, url, token, body)
    assert (reply.status_code, received(cut)) == (422, before), reply.text
    assert "received" not in cut.management("GET", f"/dataflows/{flow}")[1]


@pytest.mark.parametrize("token", ["none", "wrong", "0" * 64])
def test_a_sink_takes_nothing_without_its_pass(
    cut: DataPlane, sink: tuple[str, str, str], token: str
) -> None:
    before = received(cut)
    assert send(cut, sink[1], token, arrow()).status_code == 401
    other = cut.call("POST", "/dataflows/prepare", cut.message("http-push"))[1]["dataAddress"]["endpoint"]
    assert send(cut, other, sink[2], arrow()).status_code == 401
    assert send(cut, sink[1] + "x", sink[2], arrow()).status_code == 401
    assert cut.http.post(sink[1], content=arrow()).status_code == 401
    assert received(cut) == before


def test_a_body_that_breaks_off_leaves_nothing(cut: DataPlane, sink: tuple[str, str, str]) -> None:
    _, url, token = sink
    before = received(cut)

    def breaking() -> Iterator[bytes]:
        yield arrow()[:5000]
        raise ConnectionError("the sender died")

    with pytest.raises(ConnectionError):
        send(cut, url, token, breaking())
    cut.http.close()
    cut.http = httpx2.Client(timeout=LONGEST, trust_env=False)
    until(lambda: not cut.connector.sinks._arriving, "the end of the arrival")
    assert received(cut) == before
    assert send(cut, url, token, arrow()).status_code == 200, "and it may be sent again"


@pytest.mark.parametrize("what", ["terminate", "suspend"])
def test_a_sink_is_closed_when_its_flow_ends_also_in_the_middle_of_a_body(
    cut: DataPlane, sink: tuple[str, str, str], what: str
) -> None:
    flow, url, token = sink
    cut.tell(flow, "started")
    before = received(cut)

    def endless() -> Iterator[bytes]:
        yield b"x" * (1 << 20)
        until(lambda: cut.connector.sinks._arriving, "the arrival")
        assert cut.tell(flow, what)[0] == 200
        for _ in range(64):
            yield b"x" * (1 << 20)

    try:
        reply = send(cut, url, token, endless(), "application/octet-stream")
    except httpx2.HTTPError:
        pass  # it closed the connection while we were sending
    else:
        assert (reply.status_code, "any more" in reply.text) == (409, True)
    until(lambda: not cut.connector.sinks._arriving, "the end of the arrival")
    assert received(cut) == before
    assert send(cut, url, token, arrow()).status_code == 409


def test_a_file_that_is_too_large_is_refused_whether_it_says_so_or_not(tmp_path: Path) -> None:
    with data_plane(tmp_path, receive={"most_bytes": 10_000}) as made:
        answer = made.call("POST", "/dataflows/prepare", made.message("http-push"))[1]
        url = answer["dataAddress"]["endpoint"]
        token = answer["dataAddress"]["endpointProperties"][0]["value"]
        for body in (b"x" * 10_001, iter([b"x" * 6_000, b"x" * 6_000])):
            reply = send(made, url, token, body, "application/octet-stream")
            assert (reply.status_code, "receive.most_bytes" in reply.text) == (413, True)
        assert received(made) == set()
        assert send(made, url, token, b"x" * 10_000, "application/octet-stream").status_code == 200


def test_a_sender_that_stalls_is_given_up(tmp_path: Path) -> None:
    with data_plane(tmp_path, receive={"stall_seconds": 0.2}) as made:
        answer = made.call("POST", "/dataflows/prepare", made.message("http-push"))[1]
        url = answer["dataAddress"]["endpoint"]
        token = answer["dataAddress"]["endpointProperties"][0]["value"]
        stalled = threading.Event()

        def slow() -> Iterator[bytes]:
            yield b"x" * 100
            until(lambda: bool(made.connector.sinks._arriving), "the arrival")
            until(lambda: not made.connector.sinks._arriving, "the end of the arrival")
            stalled.set()
            yield b"y"

        try:
            reply = send(made, url, token, slow(), "text/plain")
        except httpx2.HTTPError:
            pass
        else:
            assert (reply.status_code, "stalled" in reply.text) == (400, True)
        assert stalled.is_set()
        assert received(made) == set()


def test_a_sender_that_drips_is_given_up_however_long_it_goes_on(tmp_path: Path) -> None:
    for receive, name in (
        ({"stall_seconds": 0.4, "least_bytes": 1000}, "receive.least_bytes"),
        ({"most_seconds": 0.4, "least_bytes": 1}, "receive.most_seconds"),
    ):
        with data_plane(tmp_path / name, receive=receive) as made:
            answer = made.call("POST", "/dataflows/prepare", made.message("http-push"))[1]
            url = urlsplit(answer["dataAddress"]["endpoint"])
            token = answer["dataAddress"]["endpointProperties"][0]["value"]
            with socket.create_connection((str(url.hostname), url.port or 80), LONGEST) as line:
                line.sendall(
                    f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {token}\r\n"
                    "Content-Length: 1000000\r\n\r\n".encode()
                )
                line.settimeout(0.02)
                reply = b""
                for _ in range(int(LONGEST / 0.02)):
                    line.sendall(b"x")
                    with suppress(TimeoutError):
                        reply = line.recv(65536)
                        break
                line.settimeout(LONGEST)
                while name.encode() not in reply and (more := line.recv(65536)):
                    reply += more
            assert reply.startswith(b"HTTP/1.1 400 ")
            assert name.encode() in reply
            assert received(made) == set()


def test_more_than_may_be_kept_is_refused_by_number_and_by_sum_until_something_is_taken_away(
    tmp_path: Path,
) -> None:
    for receive, name in (
        ({"most_files": 2}, "receive.most_files"),
        ({"most_bytes_kept": 2500}, "receive.most_bytes_kept"),
    ):
        with data_plane(tmp_path / name, receive=receive) as made:
            sinks = []
            for _ in range(3):
                answer = made.call("POST", "/dataflows/prepare", made.message("http-push"))[1]["dataAddress"]
                sinks.append((answer["endpoint"], answer["endpointProperties"][0]["value"]))
            for url, token in sinks[:2]:
                assert send(made, url, token, b"x" * 1000, "text/plain").status_code == 200
            before = received(made)
            reply = send(made, *sinks[2], b"x" * 1000, "text/plain")
            assert (reply.status_code, reply.json()["title"], name in reply.text) == (507, "no-room", True)
            assert received(made) == before
            (made.settings.data_dir / "received" / min(before)).unlink()
            assert send(made, *sinks[2], b"x" * 1000, "text/plain").status_code == 200
            assert len(received(made)) == 2


def test_what_a_crash_left_half_is_tidied_away_at_the_start_and_what_is_whole_stays(tmp_path: Path) -> None:
    with data_plane(tmp_path) as made:
        folder = made.settings.data_dir / "received"
    folder.mkdir(exist_ok=True)
    (folder / ".new-0123456789abcdef").write_bytes(b"half")
    (folder / "whole.bin").write_bytes(b"whole")
    with (folder / ".new-of-another-process").open("wb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        with data_plane(tmp_path) as made:
            assert received(made) == {"whole.bin", ".new-of-another-process"}


def test_what_we_push_to_ourselves_arrives_whole(cut: DataPlane, sink: tuple[str, str, str]) -> None:
    flow, url, token = sink
    properties = {"authorization": token, "authType": "bearer"}
    address = {
        "endpointType": "HttpData",
        "endpoint": url,
        "endpointProperties": [{"name": name, "value": value} for name, value in properties.items()],
    }
    message, _ = cut.start("HttpData-PUSH", dataAddress=address)
    cut.plane.heard(f"/transfers/{message['processId']}/dataflow/completed")
    shown = cut.management("GET", f"/dataflows/{flow}")[1]["received"]
    assert (shown["rows"], shown["file"].endswith(".arrow")) == (ROWS, True)
    assert cut.management("POST", f"/dataflows/{flow}/completion")[0] == 400
    cut.tell(flow, "started")
    assert cut.management("POST", f"/dataflows/{flow}/completion")[1]["state"] == "COMPLETED"
