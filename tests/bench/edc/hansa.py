"""Our connector as a participant under measurement."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connector.client.management import quoted
from connector.settings import API_KEY_FILE
from schemas.binding.paths import DSP_PREFIX
from schemas.identity import did_for
from schemas.vocab import FORMAT_ARROW_HTTP
from tests.bench.edc.clients import Ended, Failed, http, read
from tests.bench.edc.peer import Peer
from tests.interop.edc.runtime import free_ports

PUBLISHED_AT_ONCE = 2_000
HTTP_PULL = "HttpData-PULL"
"""What EDC calls its own pull."""


class Hansa(Peer):
    """`hansa connector serve` with EDC's mock identity, so that neither side signs more than the other."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        super().__init__(folder)
        self._port = free_ports(1)[0]
        self._database = database
        self.url = f"http://localhost:{self._port}"
        self.participant = did_for(self.url)
        self.dsp = self.url + DSP_PREFIX
        self.data = folder / "data"

    def command(self) -> list[str]:
        """Write settings and a small file of data."""
        self.data.mkdir(exist_ok=True)
        table = pa.table(
            {"number": pa.array(range(1000)), "delay": [n / 7 for n in range(1000)], "carrier": ["AA"] * 1000}
        )
        pq.write_table(table, self.data / "small.parquet")
        database = f"database_url = {json.dumps(self._database)}\n" if self._database else ""
        text = (
            f'name = "Hansa"\npublic_url = "{self.url}"\nport = {self._port}\n{database}'
            'trust = "edc-mock"\nprofile = "test"\negress = { allow = ["127.0.0.0/8", "::1/128"] }\n'
            f"data = {{ roots = {json.dumps([str(self.data)])} }}\n"
        )
        file = self.folder / "hansa.toml"
        file.write_text(text, encoding="utf-8")
        return [sys.executable, "-m", "connector", "connector", "serve", "--config", str(file)]

    def try_doors(self) -> None:
        """Its own readiness covers every door."""
        read(http().get(f"{self.url}/readyz"))

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Call the management door."""
        return read(http().post(f"{self.url}/management{path}", json=document, headers=self._key()))

    def get(self, path: str, **query: str | float) -> Any:
        """Ask the management door."""
        return read(http().get(f"{self.url}/management{path}", params=query, headers=self._key()))

    def _key(self) -> dict[str, str]:
        key = (self.folder / "state" / API_KEY_FILE).read_text(encoding="utf-8").strip()
        return {"Authorization": f"Bearer {key}"}

    def offer(self, names: Sequence[str]) -> None:
        """Publish one small file under each name."""
        for start in range(0, len(names), PUBLISHED_AT_ONCE):
            items = [self.item(name, "small.parquet") for name in names[start : start + PUBLISHED_AT_ONCE]]
            refused = self.post("/publications", {"items": items})["refused"]
            if refused:
                raise Failed(f"not published: {refused[:3]}")

    def item(self, name: str, source: str) -> dict[str, Any]:
        """What is said of a file to publish it."""
        permission = {"permission": [{"action": "use"}]}
        return {"id": name, "source": source, "title": f"Asset {name}", "offer": permission}

    def ask(self, provider: Peer, dataset: str) -> Callable[[], str]:
        """Read the offer over the protocol; the catalogue of a data space would tell it as well."""
        found = self.reader.dataset(provider.dsp, dataset)
        offers = found["hasPolicy"]
        offer = offers[0] if isinstance(offers, list) else offers
        kept = {name: value for name, value in offer.items() if name in ("@id", "permission")}
        asked = {
            "provider": provider.participant,
            "endpoint": provider.dsp,
            "dataset": dataset,
            "offer": kept,
        }
        return lambda: str(self.post("/negotiations", asked)["pid"])

    def await_agreement(self, negotiation: str, expected: float = 0.0) -> str:
        """Wait at the door, which answers when the state is reached."""
        found = self.get(f"/negotiations/{quoted(negotiation)}", wait="FINALIZED", timeout=60)
        if found["state"] != "FINALIZED":
            raise Ended(f"negotiation is {found['state']}: {found['problem']}\n{self.tail()}")
        return str(found["agreement"])

    def fetch(self, provider: Peer, agreement: str) -> Mapping[str, Any]:
        """Ask for an Arrow stream (of another kind of provider: for its own)."""
        format = FORMAT_ARROW_HTTP if isinstance(provider, Hansa) else HTTP_PULL
        pid = self.post("/transfers", {"agreement": agreement, "format": format})["pid"]
        found = self.get(f"/transfers/{quoted(pid)}", wait="STARTED", timeout=60)
        if found["state"] != "STARTED" or "dataAddress" not in found:
            raise Ended(f"transfer is {found['state']}: {found['problem']}\n{self.tail()}")
        return {"pid": pid, **found["dataAddress"]}
