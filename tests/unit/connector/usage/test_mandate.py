"""Records are shown to auditors: by mandate, or by role."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.trust.ports import Caller
from connector.usage.mandate import AuditGate, mandate, verify_mandate
from schemas.errors import Forbidden, Malformed, Unauthenticated
from schemas.identity import generate_key, self_issued, sign_claims
from tests.policy_builders import NOON

US = "did:web:us.example"
KEY = generate_key()


def gate(caller: Caller | None = None, at: timedelta = timedelta(0)) -> AuditGate:
    def admit(authorization: str | None) -> Caller:
        if caller is None:
            raise Unauthenticated("no token that we know")
        return caller

    return AuditGate(key=KEY, did=US, clock=lambda: NOON + at, admit=admit)


def test_who_holds_a_mandate_may_read_until_it_ends() -> None:
    token = mandate(KEY, US, NOON, days=2)
    gate().check(f"Bearer {token}")
    gate(at=timedelta(days=2)).check(f"bearer {token}")
    with pytest.raises(Unauthenticated, match="expired"):
        gate(at=timedelta(days=2, minutes=1)).check(f"Bearer {token}")


def test_a_mandate_of_another_participant_or_key_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="iss"):
        gate().check("Bearer " + mandate(KEY, "did:web:other.example", NOON, days=1))
    with pytest.raises(Unauthenticated, match="signature"):
        gate().check("Bearer " + mandate(generate_key(), US, NOON, days=1))


def test_another_token_of_ours_is_no_mandate() -> None:
    ours = self_issued(KEY, US, US, jti="1", at=NOON)
    with pytest.raises(Unauthenticated):
        gate().check(f"Bearer {ours}")
    with pytest.raises(Unauthenticated, match="not a mandate"):
        verify_mandate(ours, KEY, US, NOON)
    issued = int(NOON.timestamp())
    claims = {"iss": US, "aud": US, "scope": "write", "iat": issued, "exp": issued + 60}
    with pytest.raises(Unauthenticated, match="scope"):
        gate().check("Bearer " + sign_claims(KEY, "k", claims, kind="hansa-mandate+jwt"))


def test_an_auditor_by_role_may_read_and_another_member_may_not() -> None:
    gate(Caller("did:web:auditor.example", frozenset({"auditor"}))).check("Bearer theirs")
    with pytest.raises(Forbidden, match="consumer"):
        gate(Caller("did:web:lab.example", frozenset({"consumer"}))).check("Bearer theirs")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x.y.z", "Basic abc", "Bearer ü.ü.ü", "Bearer ..."]
)
def test_a_header_that_proves_nothing_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        gate().check(header)


@pytest.mark.parametrize("days", [0, -1, 367])
def test_a_mandate_holds_from_one_day_to_a_year(days: int) -> None:
    with pytest.raises(Malformed, match="1 to 366"):
        mandate(KEY, US, NOON, days=days)
