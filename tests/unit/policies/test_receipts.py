"""An auditor checks each receipt: who signed it, what it says, when; and says what nobody can know."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from policies.audit import AuditReport, audit
from policies.findings import Check
from policies.receipts import Shown, Standing
from schemas.canonical import digest
from schemas.identity import document_for, generate_key, public_jwk, sign_claims
from schemas.receipts import KIND, HeldReceipt, Receipt, sign_receipt
from schemas.usage import UsageKind
from schemas.vocab import ODRL
from tests.log_builders import AGREEMENT, HOSPITAL, Told
from tests.policy_builders import LAB

OLD, NEW, OTHER = generate_key(), generate_key(), generate_key()
DELETE = ODRL + "delete"
DUTY, RECEIPT = "obligation[0]", "urn:receipt:1"


class Kept:
    """A log that tells of a duty that was kept, and the receipt for it."""

    def __init__(self, *, delivered: bool = False) -> None:
        self.log = Told().finalized()
        if delivered:
            self.log.decided("s1").reserved("s1", 10).settled("s1", 10)
        self.done = self.log.at + timedelta(microseconds=1)
        self.detail: dict[str, Any] = {
            "duty": DUTY, "period": 1, "receipt": RECEIPT, "done": self.done.isoformat(),
            "statement": "All copies are gone.",
        }  # fmt: skip

    def receipt(self, **changes: Any) -> Receipt:
        said = {
            "id": RECEIPT,
            "agreement": AGREEMENT,
            "policy": digest(self.log.agreed.wire()),
            "action": DELETE,
            "done": self.done.isoformat(),
            "statement": "All copies are gone.",
        }
        return Receipt.read(said | changes)

    def held(self, key: OKPKey = OLD, **changes: Any) -> HeldReceipt:
        own = {name: changes.pop(name) for name in ("duty", "period", "key_kept") if name in changes}
        issued = changes.pop("issued", self.done)
        parties = {"did": changes.pop("did", LAB), "audience": changes.pop("audience", HOSPITAL)}
        token = sign_receipt(self.receipt(**changes), key, parties["did"], parties["audience"], issued)
        return HeldReceipt(
            id=RECEIPT,
            agreement=AGREEMENT,
            token=token,
            duty=own.get("duty", DUTY),
            period=own.get("period", 1),
            key=own.get("key_kept", {name: str(value) for name, value in public_jwk(key).items()}),
        )

    def judged(self, *held: HeldReceipt, published: tuple[OKPKey, ...] = (OLD,), **shown: Any) -> AuditReport:
        self.log.tell(UsageKind.OBLIGATION_FULFILLED, action=DELETE, detail=self.detail)
        documents = {LAB: tuple(document_for(LAB, key) for key in published)} if published else {}
        return audit(self.log.evidence(shown=Shown(held, documents, **shown)))


def standing(report: AuditReport) -> Standing:
    (found,) = report.receipts
    return found.standing


def broken(report: AuditReport) -> str:
    """What is wrong: one finding, which names the entry of the log."""
    (finding,) = report.findings
    assert (finding.check, finding.entry, finding.agreement) == (
        Check.RECEIPT, report.size - 1, AGREEMENT,
    )  # fmt: skip
    assert standing(report) is Standing.BROKEN
    return finding.what


def test_a_receipt_that_its_signer_made_and_the_log_tells_of_is_confirmed() -> None:
    kept = Kept(delivered=True)
    report = kept.judged(kept.held())
    assert report.holds, report.findings
    (found,) = report.receipts
    assert (found.standing, found.signer, found.action, found.note) == (
        Standing.CONFIRMED, LAB, DELETE, None,
    )  # fmt: skip
    assert report.as_json()["receipts"][0]["standing"] == "confirmed"


def test_a_receipt_that_is_not_shown_is_named_with_its_entry() -> None:
    assert "urn:receipt:1 is missing" in broken(Kept().judged())


def test_a_kept_duty_without_a_receipt_is_a_finding() -> None:
    kept = Kept()
    del kept.detail["receipt"]
    assert "no receipt is named" in broken(kept.judged())


@pytest.mark.parametrize("published", [(OLD,), ()])
def test_a_forged_signature_is_a_finding_whether_or_not_the_signer_can_be_asked(
    published: tuple[OKPKey, ...],
) -> None:
    kept = Kept()
    jwk = {name: str(value) for name, value in public_jwk(OLD).items()}
    found = broken(kept.judged(kept.held(OTHER, key_kept=jwk), published=published))
    assert "signature does not hold" in found


def test_a_receipt_without_a_kept_key_holds_by_what_is_published_alone() -> None:
    kept = Kept()
    assert kept.judged(kept.held(key_kept=None)).holds
    kept = Kept()
    assert "forged or altered" in broken(kept.judged(kept.held(OTHER, key_kept=None)))


def test_a_key_that_was_changed_since_is_told_and_neither_believed_nor_called_forged() -> None:
    kept = Kept()
    report = kept.judged(kept.held(), published=(NEW,))
    assert report.holds
    (found,) = report.receipts
    assert found.standing is Standing.UNCONFIRMED
    assert "does not publish the key that signed it, or not any more" in str(found.note)
    assert "nobody else vouches" in str(found.note)


def test_an_auditor_that_saw_the_old_key_before_confirms_what_it_signed() -> None:
    kept = Kept()
    assert standing(kept.judged(kept.held(), published=(OLD, NEW))) is Standing.CONFIRMED


def test_a_signer_that_cannot_be_reached_is_told_with_the_reason() -> None:
    kept = Kept()
    report = kept.judged(kept.held(), published=(), unreachable={LAB: "connection refused"})
    assert report.holds
    assert "could not be had: connection refused" in str(report.receipts[0].note)


def test_a_document_of_somebody_else_confirms_nothing() -> None:
    kept = Kept()
    kept.log.tell(UsageKind.OBLIGATION_FULFILLED, action=DELETE, detail=kept.detail)
    other = "did:web:other.example"
    for document in (document_for(other, OLD), document_for(LAB, OLD).model_copy(update={"id": other})):
        strange = Shown((kept.held(),), {LAB: (document,)})
        assert standing(audit(kept.log.evidence(shown=strange))) is Standing.UNCONFIRMED


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"policy": "sha256:" + "0" * 64}, "policy is"),
        ({"action": ODRL + "inform"}, "action is"),
        ({"agreement": "urn:uuid:other"}, "agreement is"),
        ({"id": "urn:receipt:2"}, "id is"),
        ({"statement": "Some copies are gone."}, "statement is"),
        ({"url": "https://elsewhere.example"}, "url is"),
        ({"rows": 7}, "rows is"),
        ({"duty": "obligation[1]"}, "duty is 'obligation[1]' there, and 'obligation[0]' in the log"),
        ({"period": 2}, "period is '2' there, and '1' in the log"),
        ({"did": "did:web:other.example"}, "signature does not hold|'iss' is"),
        ({"audience": "did:web:other.example"}, "'aud' is"),
    ],
)
def test_what_a_receipt_says_otherwise_than_the_log_is_a_finding(changes: dict[str, Any], what: str) -> None:
    kept = Kept()
    assert re.search(what.replace("[", r"\["), broken(kept.judged(kept.held(**changes))))


def test_a_token_that_signs_something_else_is_no_receipt() -> None:
    kept = Kept()
    issued = int(kept.done.timestamp())
    claims = {"iss": LAB, "aud": HOSPITAL, "iat": issued, "exp": issued + 60, "use": "login"}
    held = replace_token(kept.held(), sign_claims(OLD, f"{LAB}#{OLD.kid}", claims, kind=KIND))
    assert "'use' is 'login'" in broken(kept.judged(held))


def replace_token(held: HeldReceipt, token: str) -> HeldReceipt:
    return held.model_copy(update={"token": token})


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "e30.e30.e30", "." * 100, "ey" * 4000])
def test_rubbish_in_the_place_of_a_receipt_is_a_finding_and_no_crash(token: str) -> None:
    kept = Kept()
    assert broken(kept.judged(replace_token(kept.held(), token)))


def test_a_receipt_whose_text_was_altered_does_not_hold() -> None:
    kept = Kept()
    whole = kept.held()
    head, body, signature = whole.token.split(".")
    other = kept.held(statement="Some copies are gone.").token.split(".")[1]
    assert body != other
    assert "signature does not hold" in broken(
        kept.judged(replace_token(whole, f"{head}.{other}.{signature}"))
    )


def test_a_post_dated_receipt_is_a_finding() -> None:
    kept = Kept()
    kept.done += timedelta(hours=1)
    kept.detail["done"] = kept.done.isoformat()
    assert "done at" in broken(kept.judged(kept.held(issued=kept.log.at)))
    kept = Kept()
    late = kept.held(issued=kept.log.at + timedelta(hours=1))
    assert "signed at" in broken(kept.judged(late))


def test_a_deletion_before_the_last_delivery_is_a_finding() -> None:
    kept = Kept(delivered=True)
    kept.done = kept.log.at - timedelta(hours=1)
    kept.detail["done"] = kept.done.isoformat()
    assert "before rows that left at" in broken(kept.judged(kept.held()))


@pytest.mark.parametrize("crashed", [True, False])
def test_a_settlement_that_was_logged_late_makes_no_honest_deletion_early(crashed: bool) -> None:
    kept = Kept()
    kept.log.decided("s1").reserved("s1", 10)
    last = kept.log.at
    kept.log.at += timedelta(hours=1)  # so long the process was away, or the reader took nothing
    detail = {"end": "crashed"} if crashed else {"end": "failed", "last": last.isoformat()}
    kept.log.settled("s1", 10, detail=detail)
    kept.done = last + timedelta(minutes=1)
    kept.detail["done"] = kept.done.isoformat()
    assert kept.judged(kept.held()).holds


@pytest.mark.parametrize("last", ["9999-01-01T00:00:00+00:00", "tomorrow", "2026-11-23T12:00:00", 7])
def test_a_settlement_that_says_no_usable_time_of_its_last_rows_counts_as_of_its_own(last: object) -> None:
    kept = Kept()
    kept.log.decided("s1").reserved("s1", 10)
    kept.log.at += timedelta(hours=1)
    kept.log.settled("s1", 10, detail={"end": "complete", "last": last})
    kept.done = kept.log.at - timedelta(minutes=30)
    kept.detail["done"] = kept.done.isoformat()
    assert "before rows that left at" in broken(kept.judged(kept.held()))


def test_one_receipt_keeps_one_duty() -> None:
    kept = Kept()
    kept.log.tell(UsageKind.OBLIGATION_FULFILLED, action=DELETE, detail=kept.detail)
    report = kept.judged(kept.held())
    (finding,) = report.findings
    assert "was told before, at entry 2" in finding.what
    assert finding.entry == 3


def test_a_consumers_own_log_is_held_against_its_own_key() -> None:
    kept = Kept()
    kept.detail = {"receipt": RECEIPT, "done": kept.done.isoformat()}
    kept.log.tell(UsageKind.OBLIGATION_FULFILLED, action=DELETE, detail=kept.detail)
    mine = kept.held(did=HOSPITAL, audience=LAB, key_kept=None, rows=3)
    own = mine.model_copy(update={"duty": None, "period": None})
    evidence = kept.log.evidence(shown=Shown((own,), {HOSPITAL: (document_for(HOSPITAL, OLD),)}))
    terms = {name: one.model_copy(update={"role": "consumer"}) for name, one in evidence.agreements.items()}
    report = audit(replace(evidence, agreements=terms))
    assert [one.what for one in report.findings if one.check is Check.RECEIPT] == []
    assert (report.receipts[0].standing, report.receipts[0].signer) == (Standing.CONFIRMED, HOSPITAL)
