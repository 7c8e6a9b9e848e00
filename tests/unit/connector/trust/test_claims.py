"""What the authority states of a participant reaches every decision about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connector.trust.members import FRESH, FetchedMembers
from policies.use import NO_CLAIMS, Claims
from schemas.dsp.negotiation import NegotiationState
from schemas.dsp.transfer import TransferState
from schemas.errors import Malformed
from schemas.identity import Member
from schemas.odrl import Offer
from schemas.vocab import FORMAT_ARROW_HTTP, HANSA, ODRL
from tests.world import Party, World

DATASET = "urn:ds:wards"


def state(world: World, party: Party, **claims: Any) -> None:
    """Have the authority state something of a participant, and everybody read the new list."""
    world.members = [
        Member.model_validate({**member.model_dump(), **claims}) if member.id == party.did else member
        for member in world.members
    ]
    world.serial += 1
    for reader in world.parties:
        assert isinstance(reader.trust._members, FetchedMembers)
        reader.trust._members.refresh()


def wanting(operand: str, operator: str, value: Any) -> Offer:
    constraint = {"leftOperand": operand, "operator": operator, "rightOperand": value}
    return Offer.read({"@id": "wanting", "permission": [{"action": "use", "constraint": [constraint]}]})


def test_the_list_tells_of_its_members_and_of_nobody_else(
    world: World, provider: Party, consumer: Party
) -> None:
    provider.trust.admit(consumer.trust.prove(provider.did))
    world.pass_time(2)
    state(
        world,
        consumer,
        groups=("hospitals",),
        credentials={"sme": ("true",), "iso": ("27001", "9001")},
        region="DE",
        environment="federated-only",
    )
    assert provider.trust.claims(consumer.did) == Claims(
        frozenset({"hospitals"}),
        (("iso", "27001"), ("iso", "9001"), ("sme", "true")),
        "DE",
        "federated-only",
        listed=True,
    )
    assert provider.trust.claims(provider.did) == Claims(listed=True)
    assert provider.trust.claims("did:web:stranger.example") == NO_CLAIMS
    world.pass_time(timedelta(days=366).total_seconds())
    assert provider.trust.claims(consumer.did) == NO_CLAIMS


@pytest.mark.parametrize(
    ("offer", "claims", "why"),
    [
        (
            wanting(HANSA + "participantGroup", "isPartOf", "hospitals"),
            {"groups": ("hospitals",)},
            "is not known to be in hospitals; ask the authority of the data space to list you in hospitals",
        ),
        (
            wanting(HANSA + "credential/sme", "eq", "true"),
            {"credentials": {"sme": ("true",)}},
            "the member list does not state 'sme' as 'true'",
        ),
        (wanting(ODRL + "spatial", "isPartOf", "EU"), {"region": "FR"}, "no place of"),
        (
            wanting(HANSA + "environment", "isAnyOf", ["federated-only"]),
            {"environment": "federated-only"},
            "attest to the authority of the data space a federated-only",
        ),
    ],
    ids=["group", "credential", "region", "environment"],
)
def test_a_claim_of_the_list_opens_a_negotiation_and_its_loss_the_next_transfer(
    world: World, provider: Party, consumer: Party, offer: Offer, claims: dict[str, Any], why: str
) -> None:
    provider.publish(DATASET, offer)
    refused = consumer.agree(provider, DATASET, offer)
    assert refused.state is NegotiationState.TERMINATED
    assert why in " ".join(refused.reasons)

    world.pass_time(2)
    state(world, consumer, **claims)
    agreed = consumer.agree(provider, DATASET, offer).agreement
    assert agreed is not None
    opened = consumer.transfers.request(agreed.id, None, FORMAT_ARROW_HTTP)
    world.settle()
    assert consumer.transfers.own(opened.pid).state is TransferState.STARTED

    world.pass_time(FRESH.total_seconds() + 2)
    state(world, consumer, groups=(), credentials={}, region=None, environment=None)
    again = consumer.transfers.request(agreed.id, None, FORMAT_ARROW_HTTP)
    world.settle()
    assert consumer.transfers.own(again.pid).state is TransferState.TERMINATED
    assert why in " ".join(consumer.transfers.own(again.pid).reasons)


@pytest.mark.parametrize(
    "claims", [{"groups": ["x"] * 65}, {"groups": [""]}, {"groups": ["x" * 201]}, {"credentials": {"a": "b"}}]
)
def test_a_list_states_no_more_than_can_be_kept(claims: dict[str, Any]) -> None:
    member = {"id": "did:web:a.example", "thumbprint": "t", "validTo": "2027-01-01T00:00:00Z"}
    with pytest.raises(Malformed):
        Member.read({**member, **claims})
