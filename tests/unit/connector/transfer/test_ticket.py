from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connector.transfer.ticket import Ticket, issue, verify
from schemas.errors import Unauthenticated
from schemas.identity import generate_key, self_issued

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = generate_key()
TICKET = Ticket(
    transfer="urn:uuid:1",
    agreement="urn:uuid:2",
    consumer="did:web:example.org",
    dataset="urn:ds:1",
    action="https://w3id.org/hansa/policy/1#train",
    purpose=None,
    epoch=3,
    expires=NOW + timedelta(hours=1),
)


def test_a_ticket_says_what_it_was_issued_for() -> None:
    for ticket in (TICKET, replace(TICKET, purpose="https://w3id.org/dpv#ScientificResearch")):
        assert verify(issue(ticket, KEY), KEY, NOW) == ticket


def test_an_altered_ticket_is_refused() -> None:
    head, payload, signature = issue(TICKET, KEY).split(".")
    other = issue(replace(TICKET, agreement="urn:uuid:9"), KEY).split(".")[1]
    for forged in (
        f"{head}.{other}.{signature}",
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{payload}.",
        "x",
    ):
        with pytest.raises(Unauthenticated, match="ticket: token signature does not hold"):
            verify(forged, KEY, NOW)


def test_a_ticket_of_another_key_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="signature"):
        verify(issue(TICKET, generate_key()), KEY, NOW)


def test_an_expired_ticket_is_refused_with_both_times() -> None:
    with pytest.raises(
        Unauthenticated, match=r"expired at 2026-11-23T13:00:00.*now it is 2026-11-23T14:00:00"
    ):
        verify(issue(TICKET, KEY), KEY, NOW + timedelta(hours=2))


def test_another_token_of_the_same_key_is_no_ticket() -> None:
    token = self_issued(KEY, "did:web:me", "did:web:you", jti="1", at=NOW)
    with pytest.raises(Unauthenticated, match="expected 'hansa-ticket"):
        verify(token, KEY, NOW)
