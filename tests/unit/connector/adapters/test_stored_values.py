"""Values come back from storage exactly as they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.adapters.sql_tables import from_micros, to_micros
from connector.adapters.sql_values import Stored
from connector.negotiation.ports import Negotiation, SignedAgreement
from connector.offering.ports import Offering
from connector.transfer.ports import Transfer
from schemas.base import LangString, Role
from schemas.dcat import Agent, Column, ColumnStatistics, Dataset, Distribution
from schemas.dsp.negotiation import NegotiationState
from schemas.dsp.transfer import TransferState
from schemas.errors import Malformed
from schemas.odrl import Agreement, DeclaredUse, Offer
from tests.store_builders import negotiation, offering, signed, transfer

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
EXTRA = st.dictionaries(TEXT.map(lambda name: "dx:" + name), JSON, max_size=2)
CONSTRAINT = st.recursive(
    st.builds(
        lambda left, right, extra: {"leftOperand": left, "operator": "eq", "rightOperand": right, **extra},
        TEXT,
        JSON.filter(lambda value: value is not None),
        EXTRA,
    ),
    lambda inner: st.builds(
        lambda word, parts: {word: parts},
        st.sampled_from(["and", "or", "xone", "andSequence"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)
RULE = st.builds(
    lambda constraints, extra: {"action": "use", "constraint": constraints, **extra},
    st.lists(CONSTRAINT, max_size=2),
    EXTRA,
)
POLICY = st.builds(
    lambda rules, target, extra: {"@id": "urn:o", "permission": rules, "target": target, **extra},
    st.lists(RULE, max_size=2),
    st.none() | TEXT,
    EXTRA,
)
NEGOTIATIONS = st.builds(
    negotiation,
    role=st.sampled_from(Role),
    counter_pid=st.none() | TEXT,
    state=st.sampled_from(NegotiationState),
    offer=POLICY.map(Offer.read),
    wanted=st.none() | POLICY.map(Offer.read),
    use=st.none() | st.builds(DeclaredUse, action=TEXT, purpose=st.none() | TEXT),
    created=TIMES,
    updated=TIMES,
    held=st.none() | TEXT,
    reasons=st.lists(TEXT, max_size=3).map(tuple),
    seen=st.lists(TEXT, max_size=3).map(tuple),
)
TRANSFERS = st.builds(
    transfer, state=st.sampled_from(TransferState), address=st.none(), problem=st.none() | TEXT, updated=TIMES
)
AGREEMENTS = st.builds(
    lambda policy, at, revoked: signed(
        "urn:n",
        agreement=Agreement.read(
            {**policy, "target": "urn:d", "assigner": "did:web:a", "assignee": "did:web:b"}
        ),
        signed=at,
        revoked=revoked,
    ),
    POLICY,
    TIMES,
    st.none() | TEXT,
)
TEXTS = st.lists(st.builds(LangString, value=TEXT, language=st.none() | st.just("de")), max_size=3).map(tuple)
DATASETS = st.builds(
    Dataset,
    id=TEXT,
    title=TEXTS,
    keyword=TEXTS,
    theme=st.lists(st.just("http://example.org/theme"), max_size=2).map(tuple),
    publisher=st.none() | st.builds(Agent, id=st.just("did:web:a"), name=st.none() | TEXT),
    has_policy=st.lists(POLICY.map(Offer.read), max_size=2).map(tuple),
    distribution=st.lists(
        st.builds(lambda form, url: Distribution(format=form, access_service=url), TEXT, TEXT), max_size=1
    ).map(tuple),
    rows=st.none() | st.integers(0, 2**53),
    license=st.none() | st.just("http://example.org/licence"),
    columns=st.lists(
        st.builds(
            Column,
            name=TEXT,
            datatype=TEXT,
            statistics=st.none()
            | st.builds(ColumnStatistics, minimum=st.none() | TEXT, nulls=st.integers(0, 9)),
        ),
        max_size=2,
    ).map(tuple),
)
OFFERINGS = st.builds(
    lambda dataset, at: Offering(dataset, "file.parquet", at, withdrawn=at), DATASETS, TIMES
)


@given(NEGOTIATIONS)
def test_any_negotiation_comes_back_exactly(value: Negotiation) -> None:
    assert _there_and_back(Negotiation, value) == value


@given(TRANSFERS)
def test_any_transfer_comes_back_exactly(value: Transfer) -> None:
    assert _there_and_back(Transfer, value) == value


@given(AGREEMENTS)
def test_any_agreement_comes_back_exactly(value: SignedAgreement) -> None:
    back = _there_and_back(SignedAgreement, value)
    assert back == value
    assert back.agreement.wire() == value.agreement.wire()


@given(OFFERINGS)
def test_any_offering_comes_back_exactly(value: Offering) -> None:
    back = _there_and_back(Offering, value)
    assert back == value
    assert back.dataset.wire() == value.dataset.wire()


@given(TIMES)
def test_any_time_comes_back_to_the_microsecond_and_in_utc(at: datetime) -> None:
    assert from_micros(to_micros(at)) == at
    assert from_micros(to_micros(at)).utcoffset() == timedelta(0)


def test_a_number_that_json_lacks_is_refused_and_not_turned_into_null() -> None:
    for value in (float("nan"), float("inf")):
        offer = Offer.read(
            {
                "@id": "urn:o",
                "permission": [
                    {
                        "action": "use",
                        "constraint": {"leftOperand": "a", "operator": "eq", "rightOperand": value},
                    }
                ],
            }
        )
        with pytest.raises(Malformed, match="JSON"):
            Stored(Negotiation).write(negotiation(offer=offer))


def test_the_example_values_come_back_exactly() -> None:
    examples: list[tuple[type[Any], Any]] = [
        (Negotiation, negotiation()),
        (Transfer, transfer()),
        (SignedAgreement, signed("urn:n")),
        (Offering, offering()),
    ]
    for kind, value in examples:
        assert _there_and_back(kind, value) == value


def _there_and_back(kind: type[Any], value: Any) -> Any:
    stored: Stored[Any] = Stored(kind)
    return stored.read(stored.write(value))
