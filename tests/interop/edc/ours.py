"""Our own side of the trade: the connector as its own process, with EDC's mock identity."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq

from connector.client.management import Management, quoted
from connector.settings import API_KEY_FILE
from schemas.binding.client import Egress, Http
from schemas.binding.paths import DSP_PREFIX
from schemas.binding.settings import PREFIX
from schemas.identity import did_for
from schemas.vocab import HANSA
from tests.interop.edc.runtime import free_ports

LOOPBACK = ("127.0.0.0/8", "::1/128")
START_SECONDS = 60
WAIT_SECONDS = 60
ROWS = 20_000

OPEN = [{"action": "use"}]
FILTERED = [
    {
        "action": "use",
        "constraint": [
            {"leftOperand": f"{HANSA}columns", "operator": "isAnyOf", "rightOperand": ["number", "carrier"]},
            {"leftOperand": f"{HANSA}column/delay", "operator": "gteq", "rightOperand": 10},
        ],
    }
]
"""Two of four columns, and only the rows with a long delay: what a stream must show of the policy."""


def flights(folder: Path) -> pa.Table:
    """Write the table that is traded, and return it."""
    rows = range(ROWS)
    table = pa.table(
        {
            "number": pa.array(rows),
            "delay": pa.array([n % 97 / 7 for n in rows]),
            "carrier": [f"C{n % 5}" for n in rows],
            "captain": [f"captain {n % 311}" for n in rows],
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "flights.parquet", row_group_size=4096)
    return table


@dataclass
class Ours:
    """One participant: a connector process with its settings file and state."""

    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    settings: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://localhost:{self.port}"

    @property
    def did(self) -> str:
        """Its participant id."""
        return did_for(self.url)

    @property
    def dsp(self) -> str:
        """The base URL of its DSP endpoints."""
        return self.url + DSP_PREFIX

    @property
    def data(self) -> Path:
        """The folder whose files it may publish."""
        return self.folder / "data"

    @property
    def management(self) -> Management:
        """Its management door."""
        key = (self.folder / "state" / API_KEY_FILE).read_text(encoding="utf-8").strip()
        return Management(self.url, key, Http(Egress.allowing(LOOPBACK), timeout=90))

    def tail(self) -> str:
        """The end of its log."""
        return (self.folder / "log.jsonl").read_text(encoding="utf-8", errors="replace")[-4000:]

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        lines = [
            f'name = "Hansa"\npublic_url = "{self.url}"\nport = {self.port}\n',
            'trust = "edc-mock"\nprofile = "test"\n',
            f"egress = {{ allow = {json.dumps(LOOPBACK)} }}\n",
            f"data = {{ roots = {json.dumps([str(self.data)])} }}\n",
            *(f"{name} = {value}\n" for name, value in self.settings.items()),
        ]
        (self.folder / "hansa.toml").write_text("".join(lines), encoding="utf-8")
        command = ["connector", "serve", "--config", str(self.folder / "hansa.toml")]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        with (self.folder / "log.jsonl").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "connector", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean,
                start_new_session=True,
            )
        await_true(self._is_ready, f"a ready connector ({self.folder / 'log.jsonl'})", START_SECONDS)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the connector ended at once:\n{self.tail()}"
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=5).is_success
        except httpx2.HTTPError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the process; its state stays."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    # --- what it provides --------------------------------------------------------------------------

    def publish(self, dataset: str, permission: Sequence[dict[str, Any]] = OPEN) -> None:
        """Offer the flights under an id and a permission of its own."""
        item = {
            "id": dataset,
            "source": "flights.parquet",
            "title": "Flights of a year",
            "offer": {"permission": list(permission)},
        }
        answered = self.management.publish([item])
        assert not answered["refused"], answered

    # --- what it consumes --------------------------------------------------------------------------

    def catalog(self, url: str, *filters: dict[str, Any]) -> dict[str, Any]:
        """Ask a peer for its catalogue, as any DSP client with our identity would."""
        asked = {
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "CatalogRequestMessage",
            **({"filter": list(filters)} if filters else {}),
        }
        identity = json.dumps({"region": "eu", "audience": url, "clientId": self.did})
        answer = httpx2.post(f"{url}/catalog/request", json=asked, headers={"Authorization": identity})
        assert answer.is_success, f"{url} answered {answer.status_code}: {answer.text[:1000]}"
        return dict(answer.json())

    def negotiate(self, peer: str, endpoint: str, dataset: str, offer: dict[str, Any]) -> str:
        """Open a negotiation as consumer, and return its id."""
        asked = {"provider": peer, "endpoint": endpoint, "dataset": dataset, "offer": offer}
        return str(self.management.post("/negotiations", asked)["pid"])

    def transfer(self, agreement: str, format: str) -> str:
        """Open a transfer as consumer, and return its id."""
        return str(self.management.post("/transfers", {"agreement": agreement, "format": format})["pid"])

    # --- both --------------------------------------------------------------------------------------

    def await_negotiation(self, pid: str, *states: str) -> dict[str, Any]:
        """Wait until a negotiation is in one of the states."""
        return self._await("negotiations", pid, states)

    def await_transfer(self, pid: str, *states: str) -> dict[str, Any]:
        """Wait until a transfer is in one of the states."""
        return self._await("transfers", pid, states)

    def _await(self, kind: str, pid: str, states: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = self.management.get(
            f"/{kind}/{quoted(pid)}", wait=",".join(states), timeout=WAIT_SECONDS
        )
        assert found["state"] in states, f"expected {' or '.join(states)}: {found}\n{self.tail()}"
        return found

    def mirror(self, kind: str, counter_pid: str) -> dict[str, Any]:
        """Return our record of a process that the peer knows under `counter_pid`."""
        found = [one for one in self.management.get(f"/{kind}")[kind] if one["counterPid"] == counter_pid]
        assert len(found) == 1, f"expected one of {kind} for {counter_pid}, found {found}"
        return dict(found[0])


@contextmanager
def running(ours: Ours) -> Iterator[Ours]:
    """Run a connector until the block ends."""
    ours.folder.mkdir(parents=True, exist_ok=True)
    try:
        ours.start()
        yield ours
    finally:
        ours.stop()


def await_true(question: Any, what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Ask until the answer is true; fail saying what never came."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.05)
    return answer
