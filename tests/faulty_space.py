"""Two whole connectors over real sockets, each behind a front door of the fault proxy."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from connector.app.connector import Connector, build
from connector.app.ground import initialise
from connector.app.world import World, utc_now
from connector.auditor import audit_url
from connector.negotiation.ports import Negotiation
from connector.offering.describe import Publication
from connector.offering.sought import Sought
from connector.settings import API_KEY_FILE, Settings
from connector.transfer.ports import Transfer
from policies.audit import AuditReport
from schemas.binding.client import Egress, Http
from schemas.binding.paths import DSP_PREFIX
from schemas.identity import Member, MemberList, did_for, generate_key, public_jwk, sign_members
from schemas.odrl import DeclaredUse, Offer
from schemas.usage import UsageKind, UsageRecord
from schemas.vocab import DPV, HANSA
from tests.fault_proxy import FaultProxy, Schedule

LOOPBACK = ("127.0.0.0/8", "::1/128")
TRAIN = HANSA + "train"
SCIENCE, MARKETING = DPV + "ScientificResearch", DPV + "Marketing"
ROWS = 5_000


class Served:
    """An application behind a socket of loopback, in a thread of its own."""

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="served", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive(), "a server of this test did not end"


def listen() -> tuple[socket.socket, int]:
    """Listen on a free port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    return listener, int(listener.getsockname()[1])


@dataclass
class Side:
    """One participant: its connector, and where its door is behind the proxy."""

    name: str
    connector: Connector
    backend: str
    served: Served

    @property
    def did(self) -> str:
        return self.connector.settings.did

    @property
    def dsp(self) -> str:
        return self.connector.settings.public_url + DSP_PREFIX

    @property
    def api_key(self) -> str:
        return (self.connector.settings.data_dir / API_KEY_FILE).read_text().strip()

    def offer(self, text: str) -> tuple[str, Offer]:
        """A published dataset by its title, with the offer that it stands under."""
        found = self.connector.offerings.page(0, 10, Sought(text))[0].dataset
        return found.id, found.has_policy[0]

    def ask(self, provider: Side, text: str, purpose: str = SCIENCE) -> Negotiation:
        """Open a negotiation as consumer."""
        dataset, offer = provider.offer(text)
        return self.connector.negotiations.request(
            provider=provider.did,
            endpoint=provider.dsp,
            dataset=dataset,
            offer=offer,
            use=DeclaredUse(action=TRAIN, purpose=purpose),
        )

    def records(self) -> list[UsageRecord]:
        """What the usage log tells, in order."""
        usage = self.connector.stores.usage
        self.connector.usage.step()
        return [UsageRecord.model_validate_json(entry.record) for entry in usage.entries(0, usage.size() + 1)]

    def negotiations(self) -> list[Negotiation]:
        return list(self.connector.negotiations.recent(100_000))

    def transfers(self) -> list[Transfer]:
        return list(self.connector.transfers.recent(100_000))

    def audit(self) -> AuditReport:
        """Fetch the log as an auditor does, and replay it."""
        http = Http(Egress.allowing(LOOPBACK), timeout=60)
        try:
            made = http.post(
                f"{self.backend}/management/mandates",
                {"days": 1},
                {"Authorization": f"Bearer {self.api_key}"},
            )
            return audit_url(made.json()["url"], http)
        finally:
            http.close()


@dataclass
class FaultySpace:
    """Two participants, provider and consumer alike, and the bad network between them."""

    proxy: FaultProxy
    sides: tuple[Side, Side]

    def other(self, side: Side) -> Side:
        return self.sides[1] if side is self.sides[0] else self.sides[0]


def _publish(side: Side, data: Path) -> None:
    table = pa.table({"id": pa.array(range(ROWS)), "name": [f"row {number}" for number in range(ROWS)]})
    pq.write_table(table, data / "open.parquet")
    pq.write_table(table, data / "research.parquet")
    research = {"leftOperand": "purpose", "operator": "isA", "rightOperand": DPV + "ResearchAndDevelopment"}
    offers = {
        "open": Offer.read({"@id": "", "permission": [{"action": "use"}]}),
        "research": Offer.read({"@id": "", "permission": [{"action": TRAIN, "constraint": [research]}]}),
    }
    report = side.connector.offerings.publish(
        [
            Publication(source=f"{name}.parquet", title=f"The {name} one", offers=(offer,))
            for name, offer in offers.items()
        ]
    )
    assert len(report.published) == 2, report


@contextmanager
def faulty_space(
    home: Path,
    schedule: Schedule | None,
    databases: dict[str, str] | None = None,
    *,
    patience: float = 15.0,
    total: float = 3.0,
    more: dict[str, Any] | None = None,
) -> Iterator[FaultySpace]:
    """Run the space; `patience` is how long a message is tried, `total` how long one try may take.

    `more` are settings of both connectors besides those that a space needs.
    """
    authority = generate_key()
    jwk = {name: value for name, value in public_jwk(authority).items() if name in ("kty", "crv", "x", "kid")}
    members: list[Member] = []
    list_app = FastAPI()
    list_socket, list_port = listen()

    def member_list() -> PlainTextResponse:
        listed = MemberList(space="faulty", serial=1, members=tuple(members))
        return PlainTextResponse(
            sign_members(listed, authority, at=utc_now(), life=timedelta(hours=1)),
            media_type="application/jwt",
        )

    list_app.add_api_route("/members.jwt", member_list, response_model=None)
    serving = [Served(list_app, list_socket)]
    proxy = FaultProxy(schedule)
    sides: list[Side] = []
    try:
        for name in ("hamburg", "bremen"):
            listener, port = listen()
            data = home / name / "data"
            data.mkdir(parents=True)
            url = f"http://localhost:{proxy.open(name, port)}"
            settings: dict[str, Any] = {
                "name": name,
                "public_url": url,
                "port": port,
                "data_dir": home / name / "state",
                "members": {"url": f"http://localhost:{list_port}/members.jwt", "authority": jwk},
                "egress": {"allow": LOOPBACK},
                "data": {"roots": (data,)},
                "negotiation": {"deadline_seconds": patience},
                **(more or {}),
            }
            if databases and name in databases:
                settings["database_url"] = databases[name]
            until = utc_now() + timedelta(days=1)
            thumbprint = initialise(home / name / "state")
            members.append(
                Member.model_validate(
                    {
                        "id": did_for(url),
                        "thumbprint": thumbprint,
                        "roles": ("provider", "consumer"),
                        "valid_to": until,
                        "name": name,
                    }
                )
            )
            http = Http(Egress.allowing(LOOPBACK), timeout=total * 2 / 3, total=total)
            connector = build(Settings(**settings), World(http))
            served = Served(connector.app, listener)
            side = Side(name, connector, f"http://localhost:{port}", served)
            _publish(side, data)
            sides.append(side)
            serving.append(served)
        for each in serving:
            each.start()
        yield FaultySpace(proxy, (sides[0], sides[1]))
    finally:
        for each in reversed(serving):
            each.stop()
        proxy.stop()


def doubled(records: list[UsageRecord]) -> list[str]:
    """Name the moves that a log tells more than once, where a process can make them only once."""
    once = {
        UsageKind.NEGOTIATION_AGREED,
        UsageKind.NEGOTIATION_FINALIZED,
        UsageKind.NEGOTIATION_TERMINATED,
        UsageKind.TRANSFER_COMPLETED,
        UsageKind.TRANSFER_TERMINATED,
    }
    told = Counter(
        (record.kind.value, record.transfer or record.negotiation)
        for record in records
        if record.kind in once
    )
    return [f"{kind} of {process} {count} times" for (kind, process), count in told.items() if count > 1]
