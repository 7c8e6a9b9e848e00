"""What the DSP TCK needs to find in a connector, as settings and data that any operator could have written.

The connector under test is the product, started by its own command. Its settings hold one rule for each step
that a test wants to see; its database holds one dataset or agreement for each test. The two web hooks that
open processes are a small server here that calls the management door.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connector.adapters.sql import SqlStores
from connector.app.world import new_urn, utc_now
from connector.client.management import Management
from connector.negotiation.ports import Negotiation, SignedAgreement
from connector.offering.ports import Offering
from schemas.base import Role
from schemas.canonical import digest
from schemas.dsp.negotiation import NegotiationState
from schemas.errors import DataspaceError
from schemas.odrl import Agreement, Offer
from schemas.vocab import FORMAT_ARROW_HTTP

KIT = "TCK_PARTICIPANT"
"""Who the kit says it is."""
CATALOGUE = ("CAT0101", "CAT0102")
SEED = "urn:hansa:test:table"
DELAY = 0.4
"""Seconds before each step: the kit gets ready for our next message only after it saw the last state."""

P, C = "provider", "consumer"
Steps = tuple[tuple[str, str], ...]
"""What to do in which state; `STATE#2` is the second visit of it."""

NEGOTIATIONS: dict[str, tuple[str, Steps]] = {
    "CN_01_01": (P, (("REQUESTED", "offer"),)),
    "CN_01_02": (P, (("REQUESTED#1", "offer"), ("REQUESTED#2", "end"))),
    "CN_01_03": (P, (("REQUESTED", "offer"), ("ACCEPTED", "proceed"), ("VERIFIED", "proceed"))),
    "CN_01_04": (P, (("REQUESTED", "proceed"), ("VERIFIED", "proceed"))),
    "CN_02_01": (P, (("REQUESTED", "end"),)),
    "CN_02_02": (P, (("REQUESTED", "hold"),)),
    "CN_02_03": (P, (("REQUESTED", "proceed"),)),
    "CN_02_04": (P, (("REQUESTED", "offer"),)),
    "CN_02_05": (P, (("REQUESTED", "offer"), ("OFFERED", "end"))),
    "CN_02_06": (P, (("REQUESTED", "offer"), ("ACCEPTED", "end"))),
    "CN_02_07": (P, (("REQUESTED", "proceed"), ("VERIFIED", "end"))),
    "CN_03_01": (P, (("REQUESTED", "proceed"), ("VERIFIED", "proceed"))),
    "CN_03_02": (P, (("REQUESTED", "offer"),)),
    "CN_03_03": (P, (("REQUESTED", "offer"), ("ACCEPTED", "hold"))),
    "CN_03_04": (P, (("REQUESTED#1", "offer"), ("REQUESTED#2", "hold"))),
    "CN_C_01_01": (C, (("OFFERED", "proceed"), ("AGREED", "proceed"))),
    "CN_C_01_02": (C, (("OFFERED", "counter"),)),
    "CN_C_01_03": (C, (("OFFERED", "end"),)),
    "CN_C_01_04": (C, (("AGREED", "proceed"),)),
    "CN_C_02_01": (C, ()),
    "CN_C_02_02": (C, (("REQUESTED", "end"),)),
    "CN_C_02_03": (C, (("AGREED", "end"),)),
    "CN_C_02_04": (C, (("OFFERED", "hold"),)),
    "CN_C_02_05": (C, (("OFFERED", "proceed"),)),
    "CN_C_02_06": (C, (("AGREED", "proceed"),)),
    "CN_C_03_01": (C, ()),
    "CN_C_03_02": (C, (("OFFERED", "hold"),)),
    "CN_C_03_03": (C, (("OFFERED", "hold"),)),
    "CN_C_03_04": (C, (("OFFERED", "proceed"),)),
    "CN_C_03_05": (C, (("OFFERED", "proceed"),)),
    "CN_C_03_06": (C, (("OFFERED", "proceed"), ("AGREED", "hold"))),
}
_START = ("REQUESTED", "proceed")
_AGAIN: Steps = (("STARTED#1", "suspend"), ("SUSPENDED", "resume"), ("STARTED#2", "complete"))
TRANSFERS: dict[str, tuple[str, Steps]] = {
    "TP_01_01": (P, (_START, ("STARTED", "end"))),
    "TP_01_02": (P, (_START, ("STARTED", "complete"))),
    "TP_01_03": (P, (_START, ("STARTED", "suspend"), ("SUSPENDED", "end"))),
    "TP_01_04": (P, (_START, *_AGAIN)),
    "TP_01_05": (P, (("REQUESTED", "end"),)),
    "TP_02_01": (P, (_START,)),
    "TP_02_02": (P, (_START,)),
    "TP_02_03": (P, (_START,)),
    "TP_02_04": (P, (_START,)),
    "TP_02_05": (P, (("REQUESTED", "hold"),)),
    "TP_03_01": (P, (("REQUESTED", "hold"),)),
    "TP_03_02": (P, (("REQUESTED", "hold"),)),
    **{f"TP_03_0{number}": (P, (_START,)) for number in range(3, 7)},
    **{f"TP_C_01_0{number}": (C, ()) for number in range(1, 6)},
    "TP_C_02_01": (C, (("STARTED", "end"),)),
    "TP_C_02_02": (C, (("STARTED", "complete"),)),
    "TP_C_02_03": (C, (("STARTED", "suspend"), ("SUSPENDED", "end"))),
    "TP_C_02_04": (C, _AGAIN),
    "TP_C_02_05": (C, (("REQUESTED", "end"),)),
    **{f"TP_C_03_0{number}": (C, ()) for number in range(1, 7)},
}
OFF = ("TP:02-04", "TP_C:02-04")
"""Tests that the kit itself has switched off."""


def known_ids() -> list[str]:
    """The ids of all tests that the kit runs, as it prints them."""
    ids = ["MET:01-01", "CAT:01-01", "CAT:01-02", "CAT:01-03"]
    for test in (*NEGOTIATIONS, *TRANSFERS):
        group, first, second = test.rsplit("_", 2)
        ids.append(f"{group}:{first}-{second}")
    return [one for one in ids if one not in OFF]


def thing(test: str) -> str:
    """The dataset of a negotiation test, or the agreement of a transfer test."""
    return "A" + test.replace("_", "")


def _offer_id(name: str) -> str:
    """The id of a dataset's offer; the kit knows one of them by heart."""
    return f"CD123:{name}:456"


def _rules(tests: Mapping[str, tuple[str, Steps]]) -> list[dict[str, Any]]:
    rules = []
    for test, (role, steps) in tests.items():
        for where, do in steps:
            when, _, visit = where.partition("#")
            rule = {"when": when, "do": do, "role": role, "about": thing(test), "after": DELAY}
            rules.append(rule | ({"visit": int(visit)} if visit else {}))
    return rules


def settings(port: int, data: Path, database_url: str | None) -> dict[str, Any]:
    """The settings of the connector under test."""
    return {
        "name": "Connector under test",
        "public_url": f"http://localhost:{port}",
        "port": port,
        "log_level": "info",
        "trust": "edc-mock",
        "profile": "test",
        "data": {"roots": [str(data)]},
        "egress": {"allow": ["127.0.0.0/8", "::1/128"]},
        # The kit answers 404 while it is not yet waiting for a message.
        "negotiation": {"rules": _rules(NEGOTIATIONS), "retried_statuses": [404]},
        "transfer": {"rules": _rules(TRANSFERS)},
        **({"database_url": database_url} if database_url else {}),
    }


def write_data(data: Path) -> None:
    """Write the file behind every dataset."""
    data.mkdir(parents=True)
    pq.write_table(
        pa.table({"id": pa.array(range(100)), "value": pa.array([1.5] * 100)}), data / "table.parquet"
    )


def seed(database_url: str, management: Management, did: str, kit: str) -> None:
    """Save one dataset or final agreement for each test; `kit` is where the kit takes messages.

    The kit knows one dataset by a bare name that is no IRI, so that a holder could not publish it: every
    dataset is a copy of one that was published properly.
    """
    offer = {"permission": [{"action": "use"}]}
    answered = management.publish([{"source": "table.parquet", "title": "Table", "offer": offer, "id": SEED}])
    if answered["published"] != [SEED]:
        raise RuntimeError(f"the dataset was not published: {answered}")
    stores = SqlStores(database_url)
    try:
        published = stores.offerings.get(SEED)
        names = [*CATALOGUE, *(thing(test) for test, (side, _) in NEGOTIATIONS.items() if side == P)]
        stores.offerings.put([_copy(published, name) for name in names])
        for test, (side, _) in TRANSFERS.items():
            _agree(stores, thing(test), Role(side), did, kit)
    finally:
        stores.close()


def _copy(published: Offering, name: str) -> Offering:
    offer = published.dataset.has_policy[0].model_copy(update={"id": _offer_id(name)})
    dataset = published.dataset.model_copy(update={"id": name, "has_policy": (offer,)})
    return Offering(dataset, published.source, published.published)


def _agree(stores: SqlStores, agreement_id: str, role: Role, did: str, kit: str) -> None:
    assigner, assignee = (did, KIT) if role is Role.PROVIDER else (KIT, did)
    offer = Offer.read({"@id": f"offer-{agreement_id}", "permission": [{"action": "use"}]})
    agreement = Agreement.read(
        {
            **offer.wire(),
            "@id": agreement_id,
            "@type": "Agreement",
            "target": CATALOGUE[0],
            "assigner": assigner,
            "assignee": assignee,
        }
    )
    now, pid = utc_now(), new_urn()
    negotiation = Negotiation(
        pid=pid,
        role=role,
        counterparty=KIT,
        counter_pid=new_urn(),
        callback=kit,
        state=NegotiationState.FINALIZED,
        dataset=CATALOGUE[0],
        offer=offer,
        use=None,
        created=now,
        updated=now,
        agreement=agreement,
    )
    signed = SignedAgreement(
        agreement=agreement,
        role=role,
        counterparty=KIT,
        callback=kit,
        negotiation=pid,
        digest=digest(agreement.wire()),
        use=None,
        signed=now,
        final=True,
    )
    stores.negotiations.add(negotiation)
    stores.negotiations.save(negotiation, seen=0, agreement=signed)


def properties(kit_port: int, connector: str, dsp: str, did: str, hooks: str) -> str:
    """The settings of the kit, in its own format."""
    told = {
        "dataspacetck.debug": "false",
        "dataspacetck.launcher": "org.eclipse.dataspacetck.dsp.system.DspSystemLauncher",
        "dataspacetck.dsp.local.connector": "false",
        "dataspacetck.dsp.connector.agent.id": did,
        "dataspacetck.dsp.connector.http.url": dsp,
        "dataspacetck.dsp.connector.http.base.url": connector,
        "dataspacetck.dsp.connector.http.headers.authorization": json.dumps({"clientId": KIT}),
        "dataspacetck.dsp.connector.negotiation.initiate.url": f"{hooks}/negotiations",
        "dataspacetck.dsp.connector.transfer.initiate.url": f"{hooks}/transfers",
        "dataspacetck.host": "127.0.0.1",
        "dataspacetck.port": str(kit_port),
        "dataspacetck.callback.address": f"http://localhost:{kit_port}",
        "dataspacetck.dsp.default.wait": "15",
    }
    for number, dataset in enumerate((*CATALOGUE, "CAT0103"), start=1):
        told[f"CAT_01_0{number}_DATASETID"] = dataset
    for test in NEGOTIATIONS:
        told[f"{test}_DATASETID"] = thing(test)
        told[f"{test}_OFFERID"] = _offer_id(thing(test))
    for test in TRANSFERS:
        told[f"{test}_AGREEMENTID"] = thing(test)
        told[f"{test}_FORMAT"] = FORMAT_ARROW_HTTP
    # A backslash or a colon would mean something in a properties file.
    return "".join(f"{key} = {value}\n" for key, value in told.items())


@contextmanager
def web_hooks(management: Management) -> Iterator[str]:
    """Serve the two web hooks by which the kit has us open a process as consumer."""

    def negotiate(said: dict[str, Any]) -> None:
        offer = {"@id": said["offerId"], "permission": [{"action": "use"}]}
        asked = {"provider": said["providerId"], "endpoint": said["connectorAddress"], "offer": offer}
        management.post("/negotiations", {**asked, "dataset": said["datasetId"]})

    def fetch(said: dict[str, Any]) -> None:
        management.post("/transfers", {"agreement": said["agreementId"], "format": said["format"]})

    hooks = {"/negotiations": negotiate, "/transfers": fetch}

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            status, problem = 200, b""
            try:
                hooks[self.path](said)
            except (DataspaceError, KeyError) as error:
                status, problem = 500, repr(error).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(problem)))
            self.end_headers()
            self.wfile.write(problem)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: what matters stands in the connector's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, name="tck-hooks", daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
