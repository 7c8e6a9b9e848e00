"""What the log keeps of a participant: enough to decide again, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.claims import asked, claims_detail, claims_in
from policies.compiled import compile_policy
from policies.decision import decide
from policies.replay import Replay
from policies.use import NO_CLAIMS, Claims, Use, UseTotals
from schemas.errors import Malformed
from schemas.vocab import ODRL
from tests.log_builders import HOSPITAL, Told, agreement, terms_of
from tests.policy_builders import LAB, NOON, allowing, compiled, limit, rule

SOME = Claims(
    frozenset({"hospitals", "labs", "x"}),
    (("iso", "27001"), ("sme", "true")),
    "DE",
    "federated-only",
    True,
)


def test_a_policy_that_asks_for_nothing_has_nothing_kept() -> None:
    assert claims_detail(allowing(), SOME) == {}
    assert claims_in({}) == NO_CLAIMS


def test_the_log_keeps_what_was_asked_for() -> None:
    policy = allowing(
        limit("participantGroup", "isAnyOf", ["labs", "hospitals"]), limit("credential/sme", "eq", "true")
    )
    kept = asked(policy, SOME)
    assert kept == Claims(frozenset({"hospitals"}), (("sme", "true"),), listed=True)
    assert claims_in(claims_detail(policy, SOME)) == kept


conditions = st.sampled_from(
    [
        limit("participantGroup", "isPartOf", "hospitals"),
        limit("participantGroup", "isAnyOf", ["labs", "banks"]),
        limit("credential/sme", "eq", "true"),
        limit("credential/iso", "isAnyOf", ["9001", "27001"]),
        limit("odrl:spatial", "isPartOf", "EU"),
        limit("odrl:spatial", "eq", "DE"),
        limit("environment", "eq", "federated-only"),
        {"or": [limit("participantGroup", "isPartOf", "labs"), limit("odrl:spatial", "isPartOf", "CH")]},
    ]
)
claims = st.builds(
    Claims,
    st.frozensets(st.sampled_from(["hospitals", "labs", "banks", "ä"])),
    st.lists(st.sampled_from([("sme", "true"), ("sme", "no"), ("iso", "9001")]), unique=True).map(tuple),
    st.sampled_from([None, "DE", "FR", "EU", "US", "DE-BY", "nowhere"]),
    st.sampled_from([None, "federated-only", "cloud"]),
    st.booleans(),
)


@given(st.lists(conditions, max_size=3), st.lists(conditions, min_size=1, max_size=2), claims)
def test_what_is_kept_decides_as_all_of_it_did(
    allowed: list[dict[str, Any]], barred: list[dict[str, Any]], of_them: Claims
) -> None:
    policy = compiled(rule("use", *allowed), prohibition=[rule("use", *barred)])
    whole = decide(policy, Use(LAB, ODRL + "use", None, of_them), UseTotals(), NOON)
    kept = claims_in(claims_detail(policy, of_them))
    again = decide(policy, Use(LAB, ODRL + "use", None, kept), UseTotals(), NOON)
    assert type(again) is type(whole)


@pytest.mark.parametrize("said", ["{", "[]", '{"groups":"x"}', '{"credentials":[["a"]]}', '{"region":5}'])
def test_claims_that_cannot_be_read_are_refused(said: str) -> None:
    with pytest.raises(Malformed, match="claims of the record cannot be read"):
        claims_in({"claims": said})


def test_an_audit_decides_again_on_the_claims_that_the_log_keeps() -> None:
    of_labs = limit("participantGroup", "isPartOf", "labs")
    agreed = agreement(of_labs)
    policy = compile_policy(agreed)
    detail = {"start": 0, **claims_detail(policy, Claims(frozenset({"labs", "x"}), listed=True))}

    def findings(**fields: Any) -> list[str]:
        told = Told(agreed).finalized().decided("urn:uuid:stream-1", **fields)
        replay = Replay(HOSPITAL, {agreed.id: terms_of(agreed)})
        for entry, record in enumerate(told.records):
            replay.take(entry, record)
        return [finding.what for finding in replay.findings]

    assert findings(detail=detail) == []
    (without,) = findings(detail={"start": 0})
    assert "the agreement denies it: did:web:lab.example is not known to be in labs" in without
    broken = findings(detail={"start": 0, "claims": "{"})
    assert any("claims of the record cannot be read" in what for what in broken)
