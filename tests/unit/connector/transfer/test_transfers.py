from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from connector.outbox.rules import MOST_VISITS, Do, Rule
from connector.transfer.judge import Judge, RuledJudge, rules_of
from connector.transfer.ports import Transfer
from connector.transfer.ticket import verify
from schemas.base import Role
from schemas.dsp import transfer as words
from schemas.dsp.transfer import TransferState as State
from schemas.errors import Forbidden, IllegalMove, NotFound, StorageUnavailable
from schemas.foreign import EDC_CONTEXT
from schemas.odrl import Offer
from schemas.vocab import DSP_CONTEXT, FORMAT_ARROW_HTTP
from tests.store_builders import data_flow, signed
from tests.world import (
    MARKETING,
    RESEARCH,
    SCIENCE,
    TRAIN,
    Party,
    World,
    open_offer,
    research_offer,
    use_for,
)

DATASET = "urn:ds:flights"


@pytest.fixture
def agreement(provider: Party, consumer: Party) -> str:
    """The id of a final agreement for research."""
    provider.publish(DATASET, research_offer())
    agreed = consumer.agree(provider, DATASET, research_offer(), use_for(SCIENCE)).agreement
    assert agreed is not None
    return agreed.id


def start(world: World, consumer: Party, agreement: str, **use: Any) -> Transfer:
    opened = consumer.transfers.request(agreement, use_for(**use) if use else None, FORMAT_ARROW_HTTP)
    world.settle()
    return consumer.transfers.own(opened.pid)


def told(party: Party) -> list[str]:
    return [kind for kind in party.told() if kind.startswith("transfer")]


def test_a_consumer_gets_an_address_with_a_ticket_for_exactly_this_use(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = start(world, consumer, agreement)
    theirs = provider.mirror(ours)
    assert ours.state is theirs.state is State.STARTED
    assert ours.address is not None
    assert theirs.address is None, "the provider keeps no copy of the pass"
    ticket = verify(str(ours.address.property("authorization")), provider.trust._key, world.now)
    assert (ticket.transfer, ticket.agreement, ticket.consumer) == (theirs.pid, agreement, consumer.did)
    assert (ticket.dataset, ticket.action, ticket.purpose, ticket.epoch) == (DATASET, TRAIN, SCIENCE, 0)
    assert told(consumer) == told(provider) == ["transfer.started"]


def test_the_use_declared_at_the_transfer_beats_the_one_at_the_negotiation(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = start(world, consumer, agreement, purpose=MARKETING)
    theirs = provider.mirror(ours)
    assert ours.state is theirs.state is State.TERMINATED
    assert ours.problem == f"use-denied, says {provider.did}"
    assert "ScientificResearch" in " ".join(ours.reasons)
    record = provider.records()[-1]
    assert (record.kind.value, record.decision, record.purpose) == ("transfer.terminated", "deny", MARKETING)
    assert told(consumer) == ["transfer.terminated"]


def test_a_ticket_ends_no_later_than_its_policy(world: World, provider: Party, consumer: Party) -> None:
    until = world.now + timedelta(minutes=10)
    limit = {"leftOperand": "dateTime", "operator": "lt", "rightOperand": until.isoformat()}
    timed = Offer.read({"@id": "timed", "permission": [{"action": "use", "constraint": [limit]}]})
    provider.publish(DATASET, timed)
    agreed = consumer.agree(provider, DATASET, timed).agreement
    assert agreed is not None
    ours = start(world, consumer, agreed.id)
    assert ours.address is not None
    ticket = verify(str(ours.address.property("authorization")), provider.trust._key, world.now)
    assert ticket.expires == until


@pytest.mark.parametrize("who", ["consumer", "provider"])
def test_either_side_may_say_that_a_transfer_is_complete(
    world: World, provider: Party, consumer: Party, agreement: str, who: str
) -> None:
    ours = start(world, consumer, agreement)
    party, pid = (consumer, ours.pid) if who == "consumer" else (provider, str(ours.counter_pid))
    party.transfers.complete(pid)
    world.settle()
    assert consumer.transfers.own(ours.pid).state is provider.mirror(ours).state is State.COMPLETED
    assert told(consumer) == told(provider) == ["transfer.started", "transfer.completed"]


def test_the_consumer_may_pause_and_go_on_with_its_old_ticket(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = start(world, consumer, agreement)
    consumer.transfers.suspend(ours.pid, "maintenance of the cluster")
    world.settle()
    theirs = provider.mirror(ours)
    assert (theirs.state, theirs.reasons) == (State.SUSPENDED, ("maintenance of the cluster",))
    with pytest.raises(IllegalMove):
        consumer.transfers.complete(ours.pid)
    consumer.transfers.start(ours.pid)
    world.settle()
    resumed = consumer.transfers.own(ours.pid)
    assert resumed.state is provider.mirror(ours).state is State.STARTED
    assert resumed.address == ours.address


def test_a_consumer_that_resumes_by_asking_is_answered_with_a_start_and_a_fresh_ticket(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = start(world, consumer, agreement)
    consumer.transfers.suspend(ours.pid, "a pause")
    world.settle()
    world.pass_time(60)
    message = {
        "@context": [DSP_CONTEXT, EDC_CONTEXT],
        "@type": "TransferStartMessage",
        "@id": "urn:uuid:asked",
        "consumerPid": ours.pid,
        "providerPid": ours.counter_pid,
    }
    for _ in range(2):  # a repeat asks for nothing new
        assert consumer.post(provider, f"/transfers/{ours.counter_pid}/start", message).status == 200
    assert provider.mirror(ours).state is State.REQUESTED, "the peer is given time to save what it said"
    world.pass_time(1)
    provider.transfers.tick()
    theirs = provider.mirror(ours)
    assert [step.state for step in theirs.path][2:] == ["SUSPENDED", "REQUESTED", "STARTED"]
    (mail,) = provider.outbox.pending(theirs.pid)
    assert mail.document["@type"] == "TransferStartMessage"
    fresh = words.DataAddress.read(mail.document["dataAddress"])
    assert ours.address is not None
    assert fresh.property("authorization") not in (None, ours.address.property("authorization"))


def test_what_the_provider_paused_only_the_provider_resumes_and_with_a_fresh_ticket(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = start(world, consumer, agreement)
    pid = str(ours.counter_pid)
    provider.transfers.suspend(pid, "under review")
    world.settle()
    consumer.transfers.start(ours.pid)
    world.settle()
    refused = consumer.transfers.own(ours.pid)
    assert refused.state is provider.transfers.own(pid).state is State.SUSPENDED
    assert "under review" in str(refused.problem)
    world.pass_time(60)
    provider.transfers.start(pid)
    world.settle()
    resumed = consumer.transfers.own(ours.pid)
    assert resumed.state is State.STARTED
    assert resumed.address != ours.address
    with pytest.raises(IllegalMove, match="is STARTED; only one that is suspended, or"):
        provider.transfers.start(pid)


def test_a_revoked_agreement_ends_its_transfers_and_opens_no_new_one(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = start(world, consumer, agreement)
    _, ended = provider.revocations.revoke(agreement, "the study ended")
    assert ended == 1
    world.settle()
    assert consumer.transfers.own(ours.pid).reasons == ("the agreement was revoked: the study ended",)
    again = start(world, consumer, agreement)
    assert again.state is State.TERMINATED
    assert again.problem == f"revoked, says {provider.did}"


def test_one_transfer_that_ends_meanwhile_keeps_no_other_running_under_a_revoked_agreement(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = [start(world, consumer, agreement) for _ in range(3)]
    first, second, third = (str(one.counter_pid) for one in ours)

    def end_the_next(moved: Transfer) -> None:
        if moved.pid == first:
            provider.transfers.terminate(second, "its own end")

    provider.transfers._told = end_the_next
    _, ended = provider.revocations.revoke(agreement, "the study ended")
    assert ended == 2
    told = [provider.transfers.own(pid).reasons for pid in (first, second, third)]
    assert told == [("the agreement was revoked: the study ended",), ("its own end",), told[0]]


def test_changes_of_state_are_told_to_whoever_watches(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    seen: list[tuple[str, str]] = []
    provider.transfers._told = lambda moved: seen.append((moved.pid, moved.state.value))
    ours = start(world, consumer, agreement)
    consumer.transfers.suspend(ours.pid, "pause")
    world.settle()
    provider.transfers.terminate(str(ours.counter_pid), "enough")
    assert [state for _, state in seen] == ["STARTED", "SUSPENDED", "TERMINATED"]


# --- refused -----------------------------------------------------------------------------------------


def test_no_transfer_without_an_agreement_that_stands(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    with pytest.raises(NotFound):
        consumer.transfers.request("urn:uuid:none", None, FORMAT_ARROW_HTTP)
    with pytest.raises(Forbidden, match="only it can fetch data"):
        provider.transfers.request(agreement, None, FORMAT_ARROW_HTTP)


def test_somebody_elses_agreement_looks_exactly_like_an_unknown_one(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    stranger = world.join("stranger")
    bodies = []
    for agreement_id in (agreement, "urn:uuid:none"):
        message = words.TransferRequestMessage(
            id="m",
            consumer_pid="c",
            agreement_id=agreement_id,
            format=FORMAT_ARROW_HTTP,
            callback_address=stranger.dsp,
        )
        reply = stranger.post(provider, "/transfers/request", message)
        assert reply.status == 404
        bodies.append(reply.body.replace(agreement_id.encode(), b"*"))
    assert bodies[0] == bodies[1]


def test_an_agreement_of_a_foreign_control_plane_opens_no_transfer_at_our_own_door(
    provider: Party, consumer: Party
) -> None:
    provider.publish(DATASET, research_offer())
    theirs = signed("urn:hansa:control-plane:edc", counterparty=consumer.did, target=DATASET, final=True)
    provider.stores.flows.add(data_flow(), agreement=replace(theirs, control_plane="edc"))
    message = words.TransferRequestMessage(
        id="m",
        consumer_pid="c",
        agreement_id=theirs.agreement.id,
        format=FORMAT_ARROW_HTTP,
        callback_address=consumer.dsp,
    )
    assert consumer.post(provider, "/transfers/request", message).status == 404
    assert provider.transfers.recent() == []


def test_a_format_that_is_not_served_is_refused_and_those_that_are_are_named(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    opened = consumer.transfers.request(agreement, None, "HttpData-PUSH")
    world.settle()
    ended = consumer.transfers.own(opened.pid)
    assert ended.state is State.TERMINATED
    assert "served: ArrowStream-PULL" in " ".join(ended.reasons)


def test_an_agreement_that_is_not_final_yet_gives_no_data(
    world: World, provider: Party, consumer: Party
) -> None:
    provider.publish(DATASET, open_offer())
    opened = consumer.ask(provider, DATASET, open_offer())
    while not consumer.negotiations.own(opened.pid).agreement:
        for party in (consumer, provider):
            for process in party.stores.outbox.due(world.now):
                party.outbox.deliver(process)
    agreed = consumer.negotiations.own(opened.pid).agreement
    assert agreed is not None
    with pytest.raises(Forbidden, match="is not final yet"):
        consumer.transfers.request(agreed.id, None, FORMAT_ARROW_HTTP)
    message = words.TransferRequestMessage(
        id="m",
        consumer_pid="c",
        agreement_id=agreed.id,
        format=FORMAT_ARROW_HTTP,
        callback_address=consumer.dsp,
    )
    reply = consumer.post(provider, "/transfers/request", message)
    assert reply.status == 400
    assert reply.json()["@type"] == "TransferError"


def test_a_request_repeated_opens_no_second_transfer(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    message = words.TransferRequestMessage(
        id="m",
        consumer_pid="c1",
        agreement_id=agreement,
        format=FORMAT_ARROW_HTTP,
        callback_address=consumer.dsp,
    )
    first = consumer.post(provider, "/transfers/request", message)
    again = consumer.post(provider, "/transfers/request", message)
    assert first.json()["providerPid"] == again.json()["providerPid"]
    assert len(provider.transfers.recent()) == 1


@pytest.mark.parametrize("kind", ["lose", "lose answer"])
@pytest.mark.parametrize("path_end", ["/transfers/request", "/start", "/completion"])
def test_a_lost_message_or_answer_is_repeated_until_both_sides_agree(
    world: World, provider: Party, consumer: Party, agreement: str, kind: str, path_end: str
) -> None:
    hit: list[str] = []

    def fault(request: Any) -> str | None:
        if request.url.path.endswith(path_end) and not hit:
            hit.append(path_end)
            return kind
        return None

    world.wire.faults.append(fault)
    ours = start(world, consumer, agreement)
    world.pass_time(1)
    world.settle()
    consumer.transfers.complete(ours.pid)
    world.settle()
    world.pass_time(1)
    world.settle()
    assert hit
    assert consumer.transfers.own(ours.pid).state is provider.mirror(consumer.transfers.own(ours.pid)).state
    assert told(consumer) == told(provider) == ["transfer.started", "transfer.completed"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("side", ["provider", "consumer"])
def test_a_write_may_fail_stored_or_not_and_both_sides_still_converge(
    world: World, provider: Party, consumer: Party, agreement: str, side: str, when: str
) -> None:
    failing = provider if side == "provider" else consumer
    failing.transfer_store.fail("save", when)
    opened = consumer.transfers.request(agreement, None, FORMAT_ARROW_HTTP)
    for _ in range(3):
        with suppress(StorageUnavailable):
            world.settle()
        provider.transfers.recover()
        world.pass_time(61)
    world.settle()
    ours = consumer.transfers.own(opened.pid)
    assert ours.state is provider.mirror(ours).state is State.STARTED
    assert told(consumer) == told(provider) == ["transfer.started"]


def test_ended_before_the_peer_was_reached_the_peer_is_told_once_it_is(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    opened = consumer.transfers.request(agreement, None, FORMAT_ARROW_HTTP)
    consumer.transfers.terminate(opened.pid, "changed our mind")
    world.settle()
    ended = consumer.transfers.own(opened.pid)
    assert provider.mirror(ended).state is State.TERMINATED
    assert provider.mirror(ended).reasons == ("changed our mind",)


def test_a_termination_that_was_lost_for_good_is_learnt_by_asking(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    def lost(request: Any) -> str | None:
        return "lose" if request.url.path.endswith(("/start", "/termination")) else None

    world.wire.faults.append(lost)
    ours = consumer.transfers.request(agreement, None, FORMAT_ARROW_HTTP)
    for _ in range(24):
        world.settle()
        world.pass_time(90)
    world.settle()
    assert provider.mirror(consumer.transfers.own(ours.pid)).state is State.TERMINATED
    world.wire.faults.remove(lost)
    consumer.transfers.tick()
    world.settle()
    ended = consumer.transfers.own(ours.pid)
    assert (ended.state, ended.problem) == (State.TERMINATED, f"terminated, says {provider.did}")
    assert ended.reasons == ("it said so when it was asked; its message did not arrive",)


def test_completing_from_both_sides_at_once_is_complete_on_both(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = start(world, consumer, agreement)
    consumer.transfers.complete(ours.pid)
    provider.transfers.complete(str(ours.counter_pid))
    world.settle()
    assert consumer.transfers.own(ours.pid).state is provider.mirror(ours).state is State.COMPLETED


def test_a_research_purpose_that_is_wider_than_allowed_is_not_granted(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    assert start(world, consumer, agreement, purpose=RESEARCH).state is State.STARTED
    assert start(world, consumer, agreement, purpose=None).state is State.TERMINATED


def ruled(*rules: Rule) -> RuledJudge:
    return RuledJudge(rules_of(*rules))


def agreed(world: World, judge: RuledJudge | Judge, side: str) -> tuple[Party, Party, str]:
    """A provider, a consumer and their agreement; the judge of one side is given."""
    provider = world.join("p", transfer_judge=judge if side == "provider" else None)
    consumer = world.join("c", transfer_judge=judge if side == "consumer" else None)
    provider.publish(DATASET, research_offer())
    agreement = consumer.agree(provider, DATASET, research_offer(), use_for(SCIENCE)).agreement
    assert agreement is not None
    return provider, consumer, agreement.id


def later(world: World, party: Party) -> None:
    """Let the rules act whose time has come, and deliver what they say."""
    world.pass_time(10)
    party.transfers.tick()
    world.settle()


def test_by_hand_a_transfer_waits_for_a_person_and_starts_when_one_says_so(world: World) -> None:
    provider, consumer, agreement = agreed(world, Judge(automatic=False), "provider")
    ours = start(world, consumer, agreement)
    theirs = provider.mirror(ours)
    assert ours.state is State.REQUESTED
    assert theirs.held == f"a person decides whether to start the transfer for {consumer.did}"
    assert provider.transfers.recover() == 0, "nobody is asked twice"
    provider.transfers.start(theirs.pid)
    world.settle()
    assert consumer.transfers.own(ours.pid).state is State.STARTED


def test_a_person_cannot_start_what_the_policy_denies(world: World) -> None:
    provider, consumer, agreement = agreed(world, Judge(automatic=False), "provider")
    ours = start(world, consumer, agreement, purpose=MARKETING)
    provider.transfers.start(provider.mirror(ours).pid)
    world.settle()
    ended = consumer.transfers.own(ours.pid)
    assert ended.state is State.TERMINATED
    assert "use-denied" in str(ended.problem)


def test_a_person_cannot_start_what_runs_or_what_another_was_asked_for(world: World) -> None:
    _, consumer, agreement = agreed(world, Judge(automatic=False), "provider")
    ours = start(world, consumer, agreement)
    with pytest.raises(IllegalMove, match="is REQUESTED; only one that is suspended, or"):
        consumer.transfers.start(ours.pid)
    assert consumer.transfers.own(ours.pid) == ours


def test_rules_pause_resume_and_complete_a_transfer_each_in_its_time(world: World) -> None:
    judge = ruled(
        Rule("STARTED", Do.SUSPEND, visit=1, after=5, why="night"),
        Rule("SUSPENDED", Do.RESUME, after=5),
        Rule("STARTED", Do.COMPLETE, visit=2, after=5),
    )
    provider, consumer, agreement = agreed(world, judge, "provider")
    ours = start(world, consumer, agreement)
    assert ours.state is State.STARTED
    first = ours.address
    states: list[State] = [ours.state]
    for _ in range(3):
        later(world, provider)
        states.append(consumer.transfers.own(ours.pid).state)
    assert states == [State.STARTED, State.SUSPENDED, State.STARTED, State.COMPLETED]
    ended = consumer.transfers.own(ours.pid)
    assert ended.address != first, "a resumed transfer has a fresh ticket"
    assert [station.state for station in ended.path] == ["REQUESTED", *states]
    assert [station.at for station in ended.path] == sorted(station.at for station in ended.path)


def test_a_rule_of_the_consumer_ends_what_the_provider_never_answers(world: World) -> None:
    judge = ruled(Rule("REQUESTED", Do.END, role=Role.CONSUMER, after=5, why="no answer"))
    provider, consumer, agreement = agreed(world, judge, "consumer")
    provider.transfers._judge = Judge(automatic=False)
    ours = start(world, consumer, agreement)
    later(world, consumer)
    assert consumer.transfers.own(ours.pid).state is State.TERMINATED
    assert provider.transfers.own(provider.mirror(ours).pid).reasons == ("no answer",)


def test_a_rule_survives_a_restart(world: World) -> None:
    provider, consumer, agreement = agreed(world, ruled(Rule("STARTED", Do.COMPLETE, after=5)), "provider")
    ours = start(world, consumer, agreement)
    provider.transfers._owed.clear()  # what a restart forgets
    provider.transfers._recovered = None
    world.pass_time(6)
    later(world, provider)
    assert consumer.transfers.own(ours.pid).state is State.COMPLETED


def test_a_resumption_that_is_refused_a_second_time_leaves_both_sides_suspended_again(
    world: World, provider: Party, consumer: Party, agreement: str
) -> None:
    ours = start(world, consumer, agreement)
    provider.transfers.suspend(str(ours.counter_pid), "under review")
    world.settle()
    for _ in range(2):
        consumer.transfers.start(ours.pid)
        world.settle()
        mirrored = provider.transfers.own(str(ours.counter_pid)).state
        assert consumer.transfers.own(ours.pid).state is mirrored is State.SUSPENDED
    states = [station.state for station in consumer.transfers.own(ours.pid).path]
    assert states == ["REQUESTED", "STARTED", "SUSPENDED", "STARTED", "SUSPENDED", "STARTED", "SUSPENDED"]


def test_rules_that_pause_and_resume_without_a_delay_do_not_go_on_for_ever(world: World) -> None:
    judge = ruled(Rule("STARTED", Do.SUSPEND), Rule("SUSPENDED", Do.RESUME))
    provider, consumer, agreement = agreed(world, judge, "provider")
    ours = start(world, consumer, agreement)
    for _ in range(3 * MOST_VISITS):
        later(world, provider)
    stopped = consumer.transfers.own(ours.pid)
    assert stopped.state is State.STARTED
    assert sum(station.state == "SUSPENDED" for station in stopped.path) == MOST_VISITS
    assert provider.outbox.pending() == []


def test_a_rule_is_reminded_of_at_its_time_and_not_looked_at_every_second_until_then(world: World) -> None:
    judge = ruled(Rule("STARTED", Do.COMPLETE, after=500))
    provider, consumer, agreement = agreed(world, judge, "provider")
    reminders: list[datetime] = []
    provider.transfers._remind = reminders.append
    ours = start(world, consumer, agreement)
    due = provider.mirror(ours).updated + timedelta(seconds=500)
    for _ in range(3):
        later(world, provider)
    assert due in reminders
    assert set(provider.transfers._owed.values()) == {due}
