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


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Start a server in a folder of its own, and yield its URL without a database name."""
    binaries, account = find_binaries(), _account()
    # Not below pytest's folder: every session closes that to other users again, the server's among them.
    folder = Path(tempfile.mkdtemp(prefix="hansa-postgres-"))
    data = folder / "data"
    data.mkdir()
    os.chown(folder, account.pw_uid, account.pw_gid)
    os.chown(data, account.pw_uid, account.pw_gid)
    as_account = (
        {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()} if os.geteuid() == 0 else {}
    )
    made = subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "hansa", "--auth=trust", "-E", "UTF8", "--no-sync"],
        **as_account,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed: {made.stderr}")
    port = _free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "fsync": "off",  # survival of the machine is not what these tests are about
        "max_connections": "200",
        "shared_buffers": "32MB",
    }
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-p", str(port), *flags],
        **as_account,
        cwd=folder,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"postgresql://hansa@127.0.0.1:{port}"
    try:
        _wait_until_ready(server, f"{url}/postgres", folder / "server.log")
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # fast shutdown: open connections are cut
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


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
