"""A participant under measurement: its process, and what its operator does with it, whatever kind it is."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from schemas.binding.settings import PREFIX
from tests.bench.edc.clients import Failed, Reader, forget

START_SECONDS = 90.0
WAIT_SECONDS = 20.0
"""How long a process may take, and a gigabyte; what takes longer stands still."""


@dataclass(frozen=True)
class Memory:
    """What a process holds of the machine's memory. Units: bytes."""

    rss: int
    pss: int


class Peer(ABC):
    """One participant: a process, its protocol endpoints, and what its operator does with it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    participant: str
    dsp: str

    @abstractmethod
    def command(self) -> list[str]:
        """The command that starts the process; what it needs is written first."""

    @abstractmethod
    def try_doors(self) -> None:
        """Ask every door once.

        Raises:
            Failed: if one answers with an error.
            httpx2.HTTPError: if one does not answer.
        """

    @abstractmethod
    def offer(self, names: Sequence[str]) -> None:
        """Publish datasets, by the management API."""

    @abstractmethod
    def ask(self, provider: Peer, dataset: str) -> Callable[[], str]:
        """Read an offer; return what asks for its contract and returns the id of the negotiation."""

    @abstractmethod
    def await_agreement(self, negotiation: str, expected: float = 0.0) -> str:
        """Wait until the management API shows FINALIZED, and return the agreement.

        `expected` seconds are how long the last one took: where the API cannot wait, it is not asked sooner
        than after half of them, so that many who ask do not become the load that is measured.
        """

    @abstractmethod
    def fetch(self, provider: Peer, agreement: str) -> Mapping[str, Any]:
        """Ask for the data, wait until it has STARTED, and return the address that we were given."""

    @property
    def reader(self) -> Reader:
        """A client of the protocol with this participant's id."""
        return Reader(self.participant)

    @property
    def log(self) -> Path:
        """Where the process writes."""
        return self.folder / "process.log"

    def start(self) -> float:
        """Start the process, and return how many seconds it took until it was ready."""
        command = self.command()
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        with self.log.open("ab") as log:
            begun = time.perf_counter()
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean, start_new_session=True
            )
        while True:
            try:
                self.try_doors()
            except (httpx2.HTTPError, Failed) as error:
                taken = time.perf_counter() - begun
                if self.process.poll() is not None or taken > START_SECONDS:
                    raise Failed(
                        f"{command[0]} was not ready after {taken:.0f} s: {error}\n{self.tail()}"
                    ) from None
                time.sleep(0.02)
            else:
                return time.perf_counter() - begun

    def stop(self) -> None:
        """Stop the process, by its id."""
        forget()
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def tail(self) -> str:
        """The end of the log, for a message that says why something failed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def memory(self) -> Memory:
        """Return what the process holds now."""
        if self.process is None:
            raise Failed("the process is not running")
        file = Path(f"/proc/{self.process.pid}/smaps_rollup")
        found = dict(line.split(":", 1) for line in file.read_text(encoding="ascii").splitlines()[1:])
        return Memory(*(int(found[name].split()[0]) * 1024 for name in ("Rss", "Pss")))
