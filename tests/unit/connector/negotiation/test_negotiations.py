from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import BlockingPortal

from connector.negotiation.judge import MOST_ROUNDS, Case, Judge, Say, Verdict
from connector.negotiation.machine import Said
from connector.negotiation.standing import learnt
from connector.outbox.ports import Delivery
from connector.outbox.rules import Hold
from connector.trust.ports import Caller
from schemas.base import Role
from schemas.dsp import negotiation as words
from schemas.dsp.negotiation import NegotiationState as State
from schemas.errors import (
    Forbidden,
    IllegalMove,
    Malformed,
    NotFound,
    StaleState,
    StorageUnavailable,
    UnknownTerm,
)
from schemas.odrl import Offer
from schemas.vocab import DSP_CONTEXT
from tests.world import MARKETING, SCIENCE, TRAIN, Decides, Party, World, open_offer, research_offer, use_for

DATASET = "urn:ds:flights"


@pytest.fixture
def offered(provider: Party) -> Offer:
    """The offer that the provider published."""
    provider.publish(DATASET, research_offer(), open_offer())
    return research_offer()


def lose(kind: str, path_end: str) -> Any:
    """Make a fault that hits the first request whose path ends so."""
    hit: list[httpx2.Request] = []

    def fault(request: httpx2.Request) -> str | None:
        if request.url.path.endswith(path_end) and not hit:
            hit.append(request)
            return kind
        return None

    return fault


# --- the short path ----------------------------------------------------------------------------------


def test_a_fitting_request_is_agreed_on_by_both_sides_in_four_messages(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    theirs = provider.mirror(ours)
    assert (ours.state, theirs.state) == (State.FINALIZED, State.FINALIZED)
    assert ours.agreement == theirs.agreement
    said = [path.rsplit("/", 1)[-1] for method, path, _ in world.wire.log if method == "POST"]
    assert said == ["request", "agreement", "verification", "events"]


@pytest.mark.postgres
def test_the_same_path_runs_between_postgresql_and_sqlite(
    tmp_path: Path, portal: BlockingPortal, postgres_url: Callable[[], str]
) -> None:
    def database(name: str) -> str:
        return postgres_url() if name == "provider" else f"sqlite:///{tmp_path / name}.sqlite"

    world = World(tmp_path, portal, database)
    provider, consumer = world.join("provider"), world.join("consumer")
    provider.publish(DATASET, research_offer())
    ours = consumer.agree(provider, DATASET, research_offer(), use_for(SCIENCE))
    assert ours.state is provider.mirror(ours).state is State.FINALIZED
    assert consumer.told() == provider.told() == ["negotiation.agreed", "negotiation.finalized"]
    strange = provider.http.get(
        provider.dsp + "/negotiations/%00", {"Authorization": consumer.trust.prove(provider.did)}
    )
    assert strange.status in (400, 404)
    world.close()


def test_both_sides_keep_the_same_final_agreement_with_the_declared_use(
    provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    assert ours.agreement is not None
    for party, role in ((consumer, Role.CONSUMER), (provider, Role.PROVIDER)):
        (held,) = party.negotiations.agreements(DATASET)
        assert held == party.stores.negotiations.agreement(ours.agreement.id)
        assert (held.final, held.role, held.use) == (True, role, use_for(SCIENCE))
        assert (held.agreement.assigner, held.agreement.assignee) == (provider.did, consumer.did)
        assert held.agreement.target == DATASET
        assert held.agreement.timestamp == "2026-11-23T12:00:00Z"
    assert len({party.negotiations.agreements()[0].digest for party in (consumer, provider)}) == 1


def test_both_sides_log_agreed_and_finalized_with_the_same_policy_digest(
    provider: Party, consumer: Party, offered: Offer
) -> None:
    consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    assert consumer.told() == provider.told() == ["negotiation.agreed", "negotiation.finalized"]
    record, mirrored = consumer.records()[1], provider.records()[1]
    assert record.policy == mirrored.policy
    assert record.policy is not None
    assert (record.counterparty, mirrored.counterparty) == (provider.did, consumer.did)
    assert (record.dataset, record.action, record.purpose) == (DATASET, TRAIN, SCIENCE)


def test_waiting_returns_at_once_when_it_is_over_and_after_the_timeout_as_it_is(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    opened = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    assert consumer.negotiations.wait(opened.pid, {"FINALIZED"}, 0.0).state is State.REQUESTED
    world.settle()
    assert consumer.negotiations.wait(opened.pid, {"FINALIZED"}, 60.0).state is State.FINALIZED
    assert consumer.negotiations.wait(opened.pid, {"REQUESTED"}, 60.0).state is State.FINALIZED


# --- denied, misfitting, held ------------------------------------------------------------------------


def test_a_wrong_purpose_ends_it_and_the_consumer_learns_why_and_what_would_pass(
    provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.agree(provider, DATASET, offered, use_for(MARKETING))
    theirs = provider.mirror(ours)
    assert ours.state is theirs.state is State.TERMINATED
    assert ours.problem == f"use-denied, says {provider.did}"
    assert ours.reasons == theirs.reasons
    assert "ScientificResearch" in " ".join(ours.reasons)
    record = provider.records()[-1]
    assert (record.kind.value, record.decision, record.purpose) == (
        "negotiation.terminated",
        "deny",
        MARKETING,
    )
    assert consumer.told() == ["negotiation.terminated"]


def test_other_terms_are_answered_with_the_published_offer_which_a_person_may_accept(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    wide = Offer.read(
        {"@id": offered.id, "permission": [{"action": "use"}], "prohibition": [{"action": "odrl:sell"}]}
    )
    ours = consumer.agree(provider, DATASET, wide, use_for(SCIENCE))
    assert ours.state is State.OFFERED
    assert ours.held is not None
    assert "other terms than we asked for" in ours.held
    assert consumer.negotiations.standing(ours) == ("us", ours.held)
    consumer.negotiations.approve(ours.pid)
    world.settle()
    assert consumer.negotiations.own(ours.pid).state is State.FINALIZED
    agreement = provider.mirror(ours).agreement
    assert agreement.permission == research_offer().permission
    assert agreement.prohibition == ()


def test_a_person_may_also_refuse_and_the_provider_is_told_why(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.agree(provider, DATASET, open_offer(offered.id, prohibition=[{"action": "odrl:sell"}]))
    consumer.negotiations.terminate(ours.pid, "too narrow for us")
    world.settle()
    assert provider.mirror(ours).reasons == ("too narrow for us",)


def test_by_hand_a_provider_is_asked_and_approval_goes_on(world: World, consumer: Party) -> None:
    provider = world.join("careful", judge=Judge(automatic=False))
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer())
    theirs = provider.mirror(ours)
    assert theirs.state is State.REQUESTED
    assert "a person decides" in theirs.held
    assert provider.negotiations.recover() == 0, "what waits for a person is not driven"
    with pytest.raises(IllegalMove, match="not our turn"):
        consumer.negotiations.approve(ours.pid)
    provider.negotiations.approve(theirs.pid)
    world.settle()
    assert consumer.negotiations.own(ours.pid).state is State.FINALIZED


def test_whose_turn_it_is_and_what_is_waited_for_can_be_told(
    provider: Party, consumer: Party, offered: Offer
) -> None:
    opened = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    turn, why = consumer.negotiations.standing(opened)
    assert turn == "counterparty"
    assert why == f"{provider.did} says ContractOfferMessage or ContractAgreementMessage"


# --- provider-initiated and counter-offers -----------------------------------------------------------


def test_a_provider_may_offer_first_and_a_person_accepts(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    theirs = provider.negotiations.offer(
        consumer=consumer.did, endpoint=consumer.dsp, dataset=DATASET, offer=open_offer("special")
    )
    world.settle()
    ours = consumer.mirror(provider.negotiations.own(theirs.pid))
    assert (ours.state, ours.role) == (State.OFFERED, Role.CONSUMER)
    assert "unasked" in ours.held
    consumer.negotiations.approve(ours.pid)
    world.settle()
    assert consumer.negotiations.own(ours.pid).state is State.FINALIZED
    assert provider.negotiations.own(theirs.pid).state is State.FINALIZED


def test_a_provider_cannot_offer_what_nobody_could_enforce_or_what_it_does_not_have(
    provider: Party, consumer: Party, offered: Offer
) -> None:
    moon = {"leftOperand": "dx:moonPhase", "operator": "eq", "rightOperand": "full"}
    silly = Offer.read({"@id": "x", "permission": [{"action": "use", "constraint": [moon]}]})
    to: dict[str, Any] = {"consumer": consumer.did, "endpoint": consumer.dsp}
    with pytest.raises(UnknownTerm, match="dx:moonPhase"):
        provider.negotiations.offer(**to, dataset=DATASET, offer=silly)
    with pytest.raises(NotFound):
        provider.negotiations.offer(**to, dataset="urn:ds:none", offer=open_offer())


def test_a_consumer_may_counter_and_two_stubborn_machines_stop(world: World, provider: Party) -> None:
    def stubborn(case: Case) -> Verdict:
        if case.state is State.OFFERED:
            return Say(Said.REQUEST, offer=open_offer("mine", prohibition=[{"action": "odrl:sell"}]))
        return Judge()(case)

    provider.publish(DATASET, research_offer())
    consumer = world.join("stubborn", judge=Decides(stubborn))
    ours = consumer.agree(provider, DATASET, open_offer("offer-research"), use_for(SCIENCE))
    assert ours.state is State.TERMINATED
    assert "no agreement after" in " ".join(ours.reasons)


def test_a_judge_may_ask_for_time_and_is_asked_again_then(world: World, consumer: Party) -> None:
    def slow(case: Case) -> Verdict:
        ready = case.since.replace(microsecond=500_000)
        return Hold("not yet", until=ready) if case.at < ready else Judge()(case)

    provider = world.join("slow", judge=Decides(slow))
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer())
    assert provider.mirror(ours).state is State.REQUESTED
    world.pass_time(0.6)
    provider.negotiations.tick()
    assert provider.mirror(ours).state is State.AGREED


def test_a_judge_that_cannot_decide_holds_the_negotiation_and_says_why(world: World, consumer: Party) -> None:
    def puzzled(case: Case) -> Verdict:
        raise UnknownTerm("cannot enforce 'dx:moonPhase'")

    provider = world.join("puzzled", judge=Decides(puzzled))
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer())
    assert provider.mirror(ours).held == "cannot decide: cannot enforce 'dx:moonPhase'"


# --- duplicates, reordering, lost answers, crashes ---------------------------------------------------


def test_a_request_repeated_opens_no_second_negotiation(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    message = words.ContractRequestMessage(
        id="m1",
        consumer_pid="urn:uuid:theirs",
        callback_address=consumer.dsp,
        offer=offered.model_copy(update={"target": DATASET}),
        use=use_for(SCIENCE),
    )
    first = consumer.post(provider, "/negotiations/request", message)
    again = consumer.post(provider, "/negotiations/request", message.model_copy(update={"id": "m2"}))
    assert (first.status, again.status) == (201, 201)
    assert first.json()["providerPid"] == again.json()["providerPid"]
    assert len(provider.negotiations.recent()) == 1
    other = message.model_copy(update={"offer": offered.model_copy(update={"target": "urn:ds:other"})})
    assert consumer.post(provider, "/negotiations/request", other).status == 409


def test_every_message_sent_twice_changes_nothing_more(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    sent: list[tuple[Party, str, Any]] = []
    for party, other in ((consumer, provider), (provider, consumer)):
        carry = party.outbox._courier.carry

        def tapped(outgoing: Any, other: Party = other, carry: Any = carry, party: Party = party) -> Any:
            sent.append((party, outgoing.url.removeprefix(other.dsp), outgoing.document))
            return carry(outgoing)

        party.outbox._courier.carry = tapped  # type: ignore[method-assign]
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    told = (consumer.told(), provider.told())
    for sender, path, document in sent:
        reply = sender.post(provider if sender is consumer else consumer, path, document)
        assert reply.status in (200, 201), reply.body
    world.settle()
    assert consumer.negotiations.own(ours.pid).state is State.FINALIZED
    assert (consumer.told(), provider.told()) == told


def test_an_agreement_that_overtakes_the_answer_to_the_request_is_taken(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    opened = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    seen_then = []

    real = world.wire.handle_request

    def handle(request: httpx2.Request) -> httpx2.Response:
        response = real(request)
        if request.url.path.endswith("/negotiations/request"):
            # The provider's mail is delivered while the consumer still waits for the answer to its request.
            for process in provider.stores.outbox.due(world.now):
                provider.outbox.deliver(process)
            seen_then.append(consumer.negotiations.own(opened.pid))
        return response

    world.wire.handle_request = handle  # type: ignore[method-assign]
    world.settle()
    assert seen_then[0].agreement is not None, "the agreement came before the answer"
    assert consumer.negotiations.own(opened.pid).state is State.FINALIZED


@pytest.mark.parametrize("kind", ["lose", "lose answer"])
@pytest.mark.parametrize("path_end", ["/request", "/agreement", "/verification", "/events"])
def test_a_lost_message_or_answer_is_repeated_until_both_sides_agree(
    world: World, provider: Party, consumer: Party, offered: Offer, kind: str, path_end: str
) -> None:
    world.wire.faults.append(lose(kind, path_end))
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    world.pass_time(1)
    world.settle()
    ours = consumer.negotiations.own(ours.pid)
    assert ours.state is provider.mirror(ours).state is State.FINALIZED
    assert consumer.told() == provider.told() == ["negotiation.agreed", "negotiation.finalized"]
    assert len(provider.negotiations.recent()) == 1


@pytest.mark.parametrize(
    ("kind", "path_end"),
    [
        ("conflict", "/agreement"),
        ("conflict", "/verification"),
        ("conflict", "/events"),
        ("rubbish", "/request"),
        ("rubbish", "/agreement"),
        ("rubbish", "/verification"),
        ("rubbish", "/events"),
    ],
)
def test_an_answer_that_is_not_the_peers_own_ends_nothing_that_the_peer_took(
    world: World, provider: Party, consumer: Party, offered: Offer, kind: str, path_end: str
) -> None:
    world.wire.faults.append(lose(kind, path_end))
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    world.pass_time(1)
    world.settle()
    ours, theirs = consumer.negotiations.own(ours.pid), provider.mirror(consumer.negotiations.own(ours.pid))
    assert (ours.state, theirs.state) == (State.FINALIZED, State.FINALIZED)
    assert (ours.problem, theirs.problem) == (None, None)
    assert consumer.told() == provider.told() == ["negotiation.agreed", "negotiation.finalized"]
    assert len(provider.negotiations.recent()) == 1


def test_a_request_that_is_refused_after_its_agreement_came_was_taken(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    opened = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    real = world.wire.handle_request

    def refuse(request: httpx2.Request) -> httpx2.Response:
        response = real(request)
        if request.url.path.endswith("/negotiations/request"):
            for process in provider.stores.outbox.due(world.now):
                provider.outbox.deliver(process)
            return httpx2.Response(409, json={"detail": "somebody says no"})
        return response

    world.wire.handle_request = refuse  # type: ignore[method-assign]
    world.settle()
    ours = consumer.negotiations.own(opened.pid)
    assert ours.state is provider.mirror(ours).state is State.FINALIZED
    assert ours.problem is None


def test_a_last_word_that_somebody_refused_on_the_way_is_said_again_until_the_peer_has_it(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    refused: list[httpx2.Request] = []
    real = world.wire.handle_request

    def refuse(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/events") and len(refused) < 3:
            refused.append(request)
            return httpx2.Response(400, json={"detail": "somebody says no"})
        return real(request)

    world.wire.handle_request = refuse  # type: ignore[method-assign]
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    assert ours.state is State.VERIFIED
    (waiting,) = provider.outbox.pending()
    assert "somebody says no; it still stands at VERIFIED" in str(waiting.problem)
    for _ in range(3):
        world.pass_time(5)
        world.settle()
    assert consumer.negotiations.own(ours.pid).state is provider.mirror(ours).state is State.FINALIZED
    assert provider.mirror(ours).problem is None


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("side", ["provider", "consumer"])
@pytest.mark.parametrize("number", range(3))
def test_each_write_may_fail_stored_or_not_and_both_sides_still_converge(
    world: World, provider: Party, consumer: Party, offered: Offer, side: str, when: str, number: int
) -> None:
    opened = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    failing = provider if side == "provider" else consumer
    failing.negotiation_store.fail("save", when, spare=number)
    for _ in range(3):
        with suppress(StorageUnavailable):
            world.settle()
        for party in (provider, consumer):
            party.negotiations.recover()
        world.pass_time(61)
    world.settle()
    ours = consumer.negotiations.own(opened.pid)
    assert ours.state is provider.mirror(ours).state is State.FINALIZED
    assert consumer.told() == provider.told() == ["negotiation.agreed", "negotiation.finalized"]


def test_a_failed_write_when_a_request_arrives_is_a_503_and_changes_nothing(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    provider.negotiation_store.fail("add", "before")
    opened = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    world.settle()
    assert provider.negotiations.recent() == []
    (waiting,) = consumer.outbox.pending(opened.pid)
    assert "answered 503" in str(waiting.problem)
    world.pass_time(1)
    world.settle()
    assert consumer.negotiations.own(opened.pid).state is State.FINALIZED


def test_a_crash_between_hearing_and_answering_is_repaired_by_recovery(
    world: World, provider: Party, consumer: Party, offered: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(pid: str, known: Any) -> None:
        raise SystemError(f"killed before {pid} was driven")

    with monkeypatch.context() as patched:
        patched.setattr(provider.negotiations, "follow_up", crash)
        ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
        assert provider.mirror(ours).state is State.REQUESTED
    assert provider.negotiations.recover() == 1
    world.settle()
    assert consumer.negotiations.own(ours.pid).state is State.FINALIZED
    assert provider.negotiations.recover() == 0


def test_what_the_door_could_not_drive_is_driven_a_second_later(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    provider.negotiation_store.fail("save", "before")
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    assert provider.mirror(ours).state is State.REQUESTED
    provider.negotiations._recovered = world.now
    world.pass_time(1.1)
    provider.negotiations.tick()
    world.settle()
    assert consumer.negotiations.own(ours.pid).state is State.FINALIZED


def test_who_moves_second_decides_again_on_the_new_state(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    real = consumer.stores.negotiations.save
    raced: list[Any] = []

    class Racing:
        def __getattr__(self, name: str) -> Any:
            return getattr(consumer.stores.negotiations, name)

        def save(self, moved: Any, **kwargs: Any) -> Any:
            if not raced:
                raced.append(moved)
                before = consumer.stores.negotiations.get(moved.pid)
                real(replace(before, problem="touched meanwhile"), seen=before.version)
            return real(moved, **kwargs)

    consumer.negotiations._store = Racing()  # type: ignore[assignment]
    ended = consumer.negotiations.terminate(ours.pid, "changed our mind")
    assert ended.state is State.TERMINATED
    assert raced


def test_a_store_that_always_moves_on_is_an_error_and_not_an_endless_loop(
    provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.ask(provider, DATASET, offered)

    class Never:
        def __getattr__(self, name: str) -> Any:
            return getattr(consumer.stores.negotiations, name)

        def save(self, moved: Any, **kwargs: Any) -> Any:
            raise StaleState("read at version 0 but stands at 1")

    consumer.negotiations._store = Never()  # type: ignore[assignment]
    with pytest.raises(StaleState, match="changed 8 times"):
        consumer.negotiations.terminate(ours.pid, "x")


# --- refused and undeliverable -----------------------------------------------------------------------


def test_a_request_for_an_unknown_offer_ends_with_the_peers_reason(
    provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.agree(provider, DATASET, open_offer("no-such-offer"))
    assert ours.state is State.TERMINATED
    assert "answered 404" in str(ours.problem)
    assert "no offer 'no-such-offer'" in " ".join(ours.reasons)
    assert consumer.told() == ["negotiation.terminated"]


def test_a_peer_that_never_answers_ends_it_at_the_deadline_and_says_why(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    del world.wire.apps[provider.url.removeprefix("http://")]
    ours = consumer.agree(provider, DATASET, offered)
    for _ in range(40):
        world.pass_time(61)
        world.settle()
    ended = consumer.negotiations.own(ours.pid)
    assert ended.state is State.TERMINATED
    assert "could not be delivered since" in str(ended.problem)
    assert "nobody answers" in str(ended.problem)
    assert consumer.outbox.pending() == []


def test_a_refusal_in_the_middle_ends_both_sides(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    theirs = provider.mirror(ours)
    message = words.ContractNegotiationEventMessage(
        id="late", provider_pid=theirs.pid, consumer_pid=ours.pid, event_type="ACCEPTED"
    )
    reply = consumer.post(provider, f"/negotiations/{theirs.pid}/events", message)
    assert reply.status == 400
    assert reply.json()["@type"] == "ContractNegotiationError"
    assert provider.mirror(ours).state is State.FINALIZED, "an error never changes state"


def test_ended_before_the_peer_was_reached_the_peer_is_told_once_it_is(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    consumer.negotiations.terminate(ours.pid, "changed our mind")
    world.settle()
    ended = consumer.negotiations.own(ours.pid)
    assert ended.state is State.TERMINATED
    assert provider.mirror(ended).state is State.TERMINATED
    assert provider.mirror(ended).reasons == ("changed our mind",)


# --- a counterparty that fell silent ------------------------------------------------------------------


def silence(world: World, *path_ends: str) -> Callable[[httpx2.Request], str | None]:
    """Lose every message whose path ends so, until the fault is taken away again."""

    def fault(request: httpx2.Request) -> str | None:
        return "lose" if request.url.path.endswith(path_ends) else None

    world.wire.faults.append(fault)
    return fault


def give_up(world: World) -> None:
    """Let the patience of every message pass, twice: a refusal may cause a last message."""
    for _ in range(2):
        for _ in range(12):
            world.pass_time(90)
            world.settle()


def test_a_termination_that_was_lost_for_good_is_learnt_by_asking(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    fault = silence(world, "/agreement", "/termination")
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    give_up(world)
    assert ours.state is State.REQUESTED
    assert provider.mirror(ours).state is State.TERMINATED
    world.wire.faults.remove(fault)
    consumer.negotiations.tick()
    world.settle()
    ended = consumer.negotiations.own(ours.pid)
    assert ended.state is State.TERMINATED
    assert ended.problem == f"terminated, says {provider.did}"
    assert ended.reasons == ("it said so when it was asked; its message did not arrive",)
    assert consumer.told() == provider.told()[-1:] == ["negotiation.terminated"]


def test_a_promise_that_was_lost_for_good_is_learnt_by_asking(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    fault = silence(world, "/events")
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    give_up(world)
    assert consumer.negotiations.own(ours.pid).state is State.VERIFIED
    world.wire.faults.remove(fault)
    consumer.negotiations.tick()
    world.settle()
    ended = consumer.negotiations.own(ours.pid)
    assert ended.state is State.FINALIZED
    assert consumer.told() == ["negotiation.agreed", "negotiation.finalized"]
    assert ended.agreement is not None
    assert consumer.stores.negotiations.agreement(ended.agreement.id).final


def test_a_counterparty_that_thinks_is_asked_now_and_then_and_may_think_on(
    world: World, consumer: Party
) -> None:
    provider = world.join("slow", judge=Judge(automatic=False))
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer(), None)
    asked = f"/negotiations/{ours.counter_pid}"

    def count() -> int:
        return sum(method == "GET" and path.endswith(asked) for method, path, _ in world.wire.log)

    for minutes, times in ((14, 0), (2, 1), (2, 1), (14, 2)):
        world.pass_time(60 * minutes)
        consumer.negotiations.tick()
        world.settle()
        assert count() == times
    waiting = consumer.negotiations.own(ours.pid)
    assert (waiting.state, waiting.problem, waiting.updated) == (State.REQUESTED, None, ours.updated)
    provider.negotiations.approve(str(ours.counter_pid))
    world.settle()
    assert consumer.negotiations.own(ours.pid).state is State.FINALIZED


def test_a_counterparty_that_knows_nothing_of_it_any_more_ends_it(
    world: World, consumer: Party, portal: BlockingPortal, tmp_path: Path
) -> None:
    provider = world.join("forgetful", judge=Judge(automatic=False))
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer(), None)
    with provider.stores.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM negotiations")
    world.pass_time(16 * 60)
    consumer.negotiations.tick()
    world.settle()
    ended = consumer.negotiations.own(ours.pid)
    assert ended.state is State.TERMINATED
    assert str(ended.problem).startswith("A question not answered: ")
    assert str(ended.problem).endswith("shows no process")
    assert consumer.outbox.pending() == []


def test_terminating_twice_is_refused(provider: Party, consumer: Party, offered: Offer) -> None:
    ours = consumer.ask(provider, DATASET, offered)
    consumer.negotiations.terminate(ours.pid, "first")
    with pytest.raises(IllegalMove):
        consumer.negotiations.terminate(ours.pid, "second")


# --- hostile and foreign -----------------------------------------------------------------------------


def test_somebody_elses_process_looks_exactly_like_an_unknown_one(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    stranger = world.join("stranger")
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    pid = provider.mirror(ours).pid
    unknown = pid[:-3] + "999"
    foreign, missing = (stranger.fetch(provider, f"/negotiations/{one}") for one in (pid, unknown))
    assert foreign.status == missing.status == 404
    assert foreign.body.replace(pid.encode(), b"*") == missing.body.replace(unknown.encode(), b"*")
    end = words.ContractNegotiationTerminationMessage(id="x", provider_pid=pid, consumer_pid=ours.pid)
    assert stranger.post(provider, f"/negotiations/{pid}/termination", end).status == 404
    assert provider.mirror(ours).state is State.FINALIZED


def test_a_message_for_another_process_id_than_its_paths_is_refused(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.agree(provider, DATASET, open_offer(offered.id, prohibition=[{"action": "odrl:sell"}]))
    pid = provider.mirror(ours).pid
    for wrong in ({"provider_pid": "urn:uuid:other"}, {"consumer_pid": "urn:uuid:other"}):
        said: dict[str, Any] = {"provider_pid": pid, "consumer_pid": ours.pid, **wrong}
        message = words.ContractNegotiationEventMessage(id="x", event_type="ACCEPTED", **said)
        reply = consumer.post(provider, f"/negotiations/{pid}/events", message)
        assert reply.status == 400
        assert "urn:uuid:other" in reply.json()["reason"][0]


def test_who_lacks_the_role_cannot_open_a_negotiation(world: World, provider: Party, offered: Offer) -> None:
    crawler = world.join("crawler", roles=("catalog",))
    message = words.ContractRequestMessage(
        id="m",
        consumer_pid="c",
        callback_address=crawler.dsp,
        offer=offered.model_copy(update={"target": DATASET}),
    )
    reply = crawler.post(provider, "/negotiations/request", message)
    assert reply.status == 403
    with pytest.raises(Forbidden):
        provider.negotiations.receive(Caller(crawler.did), message, None)


def test_an_agreement_id_that_belongs_to_another_negotiation_is_refused(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    victim = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    assert victim.agreement is not None
    thief = world.join("thief", judge=Decides(lambda case: Hold("plotting")))
    thief.publish("urn:ds:bait", open_offer())
    opened = consumer.agree(thief, "urn:ds:bait", open_offer())
    stolen = victim.agreement.model_copy(
        update={"assigner": thief.did, "target": "urn:ds:bait", "permission": open_offer().permission}
    )
    message = words.ContractAgreementMessage(
        id="m", provider_pid=str(opened.counter_pid), consumer_pid=opened.pid, agreement=stolen
    )
    reply = thief.post(consumer, f"/negotiations/{opened.pid}/agreement", message)
    assert reply.status == 409
    held = consumer.stores.negotiations.agreement(victim.agreement.id)
    assert (held.counterparty, held.agreement) == (provider.did, victim.agreement)


@pytest.mark.parametrize(
    "change",
    [
        {"assigner": "did:web:somebody.else"},
        {"assignee": "did:web:somebody.else"},
        {"target": "urn:ds:other"},
        {
            "permission": [
                {
                    "action": "use",
                    "constraint": [{"leftOperand": "purpose", "operator": "eq", "rightOperand": MARKETING}],
                }
            ]
        },
    ],
)
def test_an_agreement_that_says_something_else_than_the_offer_is_terminated_with_the_reason(
    world: World, consumer: Party, change: dict[str, Any]
) -> None:
    liar = world.join("liar", judge=Decides(lambda case: Hold("plotting")))
    liar.publish(DATASET, open_offer())
    opened = consumer.agree(liar, DATASET, open_offer())
    honest = {
        **open_offer().wire(),
        "@id": "urn:uuid:agreement",
        "@type": "Agreement",
        "assigner": liar.did,
        "assignee": consumer.did,
        "target": DATASET,
    }
    message = {
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "ContractAgreementMessage",
        "providerPid": opened.counter_pid,
        "consumerPid": opened.pid,
        "agreement": {**honest, **change},
    }
    reply = liar.post(consumer, f"/negotiations/{opened.pid}/agreement", message)
    assert reply.status == 200, "it was heard; what follows is the consumer's own move"
    world.settle()
    ours = consumer.negotiations.own(opened.pid)
    assert (ours.state, ours.problem) == (State.TERMINATED, "agreement-mismatch")
    assert not consumer.stores.negotiations.agreement("urn:uuid:agreement").final
    mirrored = liar.mirror(ours)
    assert mirrored.state is State.TERMINATED
    assert mirrored.reasons == ours.reasons


def test_a_peer_that_uses_one_process_id_twice_is_not_believed(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    first = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    second = consumer.ask(provider, DATASET, offered, use_for(SCIENCE))
    (waiting,) = consumer.outbox.pending(second.pid)
    consumer.negotiations.delivered(waiting, Delivery(201, {"providerPid": first.counter_pid}))
    ended = consumer.negotiations.own(second.pid)
    assert ended.state is State.TERMINATED
    assert "a process id that it uses already" in str(ended.problem)


def test_we_do_not_negotiate_with_ourselves(provider: Party, offered: Offer) -> None:
    with pytest.raises(Malformed, match="this participant itself"):
        provider.ask(provider, DATASET, offered)


# --- revocation --------------------------------------------------------------------------------------


def test_a_revoked_agreement_has_a_new_epoch_a_reason_and_one_record(
    provider: Party, consumer: Party, offered: Offer
) -> None:
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    assert ours.agreement is not None
    revoked, _ = provider.revocations.revoke(ours.agreement.id, "the study ended")
    assert (revoked.revoked, revoked.epoch) == ("the study ended", 1)
    assert provider.revocations.revoke(ours.agreement.id, "again")[0] == revoked
    assert provider.told() == ["negotiation.agreed", "negotiation.finalized", "agreement.revoked"]
    with pytest.raises(Forbidden, match="only it can revoke"):
        consumer.revocations.revoke(ours.agreement.id, "not ours to revoke")


def test_haggling_ends_also_with_a_peer_that_names_no_message(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    """Repeats cannot be told by an `@id` that is not there; rounds can be counted all the same."""
    other = {"@id": offered.id, "@type": "Offer", "target": DATASET, "permission": [{"action": "sell"}]}
    document = {
        "@context": [DSP_CONTEXT],
        "@type": "ContractRequestMessage",
        "consumerPid": "c-nameless",
        "offer": other,
    }
    answer = consumer.post(
        provider, "/negotiations/request", {**document, "callbackAddress": consumer.dsp}
    ).json()
    pid = answer["providerPid"]
    for _ in range(MOST_ROUNDS):
        assert provider.negotiations.own(pid).state is State.OFFERED
        reply = consumer.post(provider, f"/negotiations/{pid}/request", {**document, "providerPid": pid})
        assert reply.status == 200, reply.body
    ended = provider.negotiations.own(pid)
    assert ended.state is State.TERMINATED
    assert "no agreement after" in " ".join(ended.reasons)


def test_a_consumer_cannot_lie_a_negotiation_final_when_it_is_asked(
    world: World, provider: Party, consumer: Party, offered: Offer
) -> None:
    silence(world, "/events")
    ours = consumer.agree(provider, DATASET, offered, use_for(SCIENCE))
    theirs = provider.mirror(ours)
    verified = replace(theirs, state=State.VERIFIED)
    assert learnt(verified, "FINALIZED", world.now) is None
    for state in (State.REQUESTED, State.OFFERED, State.ACCEPTED, State.AGREED):
        assert learnt(replace(ours, state=state), "FINALIZED", world.now) is None
