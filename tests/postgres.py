"""A PostgreSQL server of the test session's own: fresh data, a free port on loopback, gone at the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

BINARIES = Path("/usr/lib/postgresql")
START_SECONDS = 60


def find_binaries() -> Path:
    """Return the folder of the newest PostgreSQL server; without one the tests that need it fail."""
    found = sorted(BINARIES.glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    if not found:
        raise RuntimeError(
            f"no PostgreSQL server below {BINARIES}; the store tests need one: apt-get install postgresql"
        )
    return found[-1].parent


def _account() -> pwd.struct_passwd:
    """PostgreSQL refuses to run as root; Debian's package brings the user postgres."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server with data of its own, which can be stopped and started again at the same port.

    Args:
        durable: whether commits reach the disk; survival of the machine is not what tests are about.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self._binaries, account = find_binaries(), _account()
        # Not below pytest's folder: every session closes that to other users again, the server's among them.
        self._folder = Path(tempfile.mkdtemp(prefix="hansa-postgres-"))
        self._data = self._folder / "data"
        self._data.mkdir()
        os.chown(self._folder, account.pw_uid, account.pw_gid)
        os.chown(self._data, account.pw_uid, account.pw_gid)
        self._as_account: dict[str, Any] = (
            {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()} if os.geteuid() == 0 else {}
        )
        made = subprocess.run(
            [
                self._binaries / "initdb",
                "-D",
                self._data,
                "-U",
                "hansa",
                "--auth=trust",
                "-E",
                "UTF8",
                "--no-sync",
            ],
            **self._as_account,
            cwd=self._folder,
            capture_output=True,
            text=True,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://hansa@127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start, and wait until connections are taken."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._folder),
            "fsync": "on" if self._durable else "off",
            "max_connections": "200",
            "shared_buffers": "32MB",
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = self._folder / "server.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, "-p", str(self._port), *flags],
                **self._as_account,
                cwd=self._folder,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        _wait_until_ready(self._process, f"{self.url}/postgres", log)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop: fast, which cuts open connections; or immediate, which leaves everything as after a crash."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def remove(self) -> None:
        """Stop, and remove its data."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[str]:
    """Start a server in a folder of its own, and yield its URL without a database name."""
    server = Server(durable=durable)
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if server.poll() is not None:
            raise RuntimeError(f"the PostgreSQL server ended at once: {log.read_text()[-2000:]}")
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                said = log.read_text()[-2000:]
                raise RuntimeError(f"no PostgreSQL after {START_SECONDS} s: {said}") from None
            time.sleep(0.05)
        else:
            return


class Databases:
    """Empty databases on a running server; one that was given back is emptied and given out again."""

    def __init__(self, server_url: str) -> None:
        self._server = server_url
        self._made = 0
        self._free: list[str] = []

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        """Lend an empty database."""
        name = self._free.pop() if self._free else self._make()
        try:
            yield f"{self._server}/{name}"
        finally:
            self._empty(name)
            self._free.append(name)

    def _make(self) -> str:
        self._made += 1
        name = f"hansa_{self._made}"
        with psycopg.connect(f"{self._server}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return name

    def _empty(self, name: str) -> None:
        others = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(f"{self._server}/{name}", autocommit=True) as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM ({others}) AS others")
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
