"""Which doors are open on the connector's own port, and which part stands behind each.

What is behind is given by `app/connector.py`; bulk data have ports of their own (`api/doors.py`),
and the doors for foreign control planes are opened there.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from connector.api.asking import Ask, asking_router
from connector.api.console import Parts, install_console
from connector.api.console_agreements import Book
from connector.api.console_session import Sessions
from connector.api.dsp import dsp_router, version_router
from connector.api.evidence import evidence_router
from connector.api.health import health_router
from connector.api.identity import identity_router
from connector.api.management import management_router
from connector.api.policies import policy_router
from connector.api.profile import profile_router
from connector.dataplane.preview import Previews
from connector.dataplane.service import Streams
from connector.negotiation.service import Negotiations
from connector.offering.service import Offerings
from connector.outbox.service import Outbox
from connector.promises import Promises, Us
from connector.signaling.service import DataFlows
from connector.transfer.service import Transfers
from connector.trust.ports import TrustProfile
from connector.usage.mandate import AuditGate, mandate
from connector.usage.service import UsageLog
from schemas.binding.paths import DSP_PREFIX
from schemas.binding.server import install_errors
from schemas.identity import DidService, document_for
from schemas.usage import AgreedTerms


@dataclass(frozen=True)
class Behind:
    """The parts that the doors call."""

    us: Us
    trust: TrustProfile
    negotiations: Negotiations
    transfers: Transfers
    offerings: Offerings
    outbox: Outbox
    usage: UsageLog
    streams: Streams
    flows: DataFlows
    previews: Previews
    promises: Promises
    agreement: Callable[[str], AgreedTerms]
    files: Callable[[], Sequence[str]]
    catalogues: Ask


@dataclass(frozen=True)
class Front:
    """How the connector shows itself: its name, where it is reached, and the key of its own people."""

    name: str
    url: str
    api_key: bytes

    @property
    def dsp_url(self) -> str:
        """Return the URL under which peers speak to us."""
        return self.url + DSP_PREFIX

    def authorize(self, token: str) -> bool:
        """Return whether a token is the API key; it takes as long for a wrong one."""
        return hmac.compare_digest(token.encode(), self.api_key)


def open_doors(app: FastAPI, behind: Behind, front: Front) -> None:
    """Open the doors for peers, for our own people, and for auditors."""
    install_errors(app, DSP_PREFIX)
    _open_to_peers(app, behind, front)
    _open_to_us(app, behind, front)
    us = behind.us
    gate = AuditGate(key=us.key, did=us.did, clock=us.clock, admit=behind.trust.admit)
    app.include_router(
        evidence_router(
            log=behind.usage, agreement=behind.agreement, receipts=behind.promises.shown, gate=gate
        )
    )
    app.include_router(health_router(behind.usage, behind.outbox, lambda: behind.streams.count))


def _open_to_peers(app: FastAPI, behind: Behind, front: Front) -> None:
    services = (DidService(id=f"{behind.us.did}#dsp", type="DataService", service_endpoint=front.dsp_url),)
    app.include_router(identity_router(document_for(behind.us.did, behind.us.key, services)))
    app.include_router(profile_router())
    app.include_router(version_router(DSP_PREFIX, auth=behind.trust.described()))
    app.include_router(
        dsp_router(
            admit=behind.trust.admit,
            negotiations=behind.negotiations,
            transfers=behind.transfers,
            offerings=behind.offerings,
            base_url=front.dsp_url,
        ),
        prefix=DSP_PREFIX,
    )
    app.include_router(behind.promises.ledger_door(), prefix=DSP_PREFIX)


def _open_to_us(app: FastAPI, behind: Behind, front: Front) -> None:
    us = behind.us

    def mandated(days: int) -> str:
        return f"{front.url}/evidence#mandate={mandate(us.key, us.did, us.clock(), days)}"

    app.include_router(behind.promises.management_door(front.authorize))
    app.include_router(asking_router(front.authorize, behind.catalogues))
    app.include_router(
        policy_router(
            authorize=front.authorize,
            previews=behind.previews,
            offerings=behind.offerings,
            negotiations=behind.negotiations,
            clock=us.clock,
        )
    )
    install_console(app, _console(behind, front))
    app.include_router(
        management_router(
            authorize=front.authorize,
            participant=us.did,
            negotiations=behind.negotiations,
            revocations=behind.promises.revocations,
            transfers=behind.transfers,
            offerings=behind.offerings,
            outbox=behind.outbox,
            usage=behind.usage,
            mandate=mandated,
            flows=behind.flows,
            ledger=behind.promises.ledger,
        )
    )


def _console(behind: Behind, front: Front) -> Parts:
    return Parts(
        name=front.name,
        did=behind.us.did,
        sessions=Sessions(
            key=front.api_key,
            clock=behind.us.clock,
            nonce=lambda: secrets.token_urlsafe(16),
            secure=front.url.startswith("https:"),
        ),
        previews=behind.previews,
        offerings=behind.offerings,
        files=behind.files,
        clock=behind.us.clock,
        book=Book(
            agreements=behind.negotiations,
            revocations=behind.promises.revocations,
            ledger=behind.promises.ledger,
            totals=behind.usage.totals,
            streams=behind.streams.open_by_agreement,
            claims=behind.trust.claims,
            clock=behind.us.clock,
        ),
    )
