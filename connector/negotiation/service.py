"""Negotiations, both roles: load, ask the table and the judge, save the move with all that it causes.

What a crash leaves behind, and who repairs it, is said in `connector.outbox.process`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from connector.negotiation.judge import Case, Judging, Say, end
from connector.negotiation.keeping import Fitting, kept
from connector.negotiation.machine import MOVES, TURN, Said
from connector.negotiation.ports import Negotiation, NegotiationStore, SignedAgreement
from connector.negotiation.standing import learnt
from connector.negotiation.steps import Party, Pen, checked_use, expected, heard, opened, signed, spoken, told
from connector.offering.ports import OfferingStore
from connector.outbox.letter import PATIENCE, failed, shorten
from connector.outbox.path import visits
from connector.outbox.ports import Delivery, Outgoing
from connector.outbox.process import Processes, Stepped
from connector.outbox.rules import Hold, Where
from connector.trust.ports import Caller
from policies.compare.clashes import refuse_contradictions
from policies.compiled import compile_policy
from policies.fitting import fit_to_columns
from policies.use import NO_CLAIMS, Claims
from schemas.base import Message, Role
from schemas.binding.paths import NEGOTIATION_PATH
from schemas.dsp.negotiation import ContractOfferMessage, ContractRequestMessage
from schemas.dsp.negotiation import NegotiationState as State
from schemas.errors import AlreadyExists, Forbidden, IllegalMove, Malformed, NotFound, Refused
from schemas.odrl import DeclaredUse, Offer
from schemas.usage import UsageRecord

_log = structlog.get_logger("connector.negotiation")


class Negotiations(Processes[Negotiation]):
    """The negotiations of one participant (also a Sender: it is told what became of its mail)."""

    KIND = "negotiation"
    TABLE = MOVES
    STATE_PATH = NEGOTIATION_PATH

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        store: NegotiationStore,
        offerings: OfferingStore,
        fit: Fitting,
        judge: Judging,
        wake: Callable[[str], None],
        remind: Callable[[datetime], None],
        record: Callable[..., UsageRecord],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        did: str,
        callback: str,
        patience: timedelta = PATIENCE,
        claims: Callable[[str], Claims] = lambda _: NO_CLAIMS,
    ) -> None:
        """Make the room.

        `fit` refuses a policy that cannot be kept on a dataset; `callback` is our own DSP base URL;
        `patience` is how long a message is tried; `claims` says what is known of a participant.
        """
        self._claims = claims
        super().__init__(
            store=store,
            wake=wake,
            remind=remind,
            clock=clock,
            new_id=new_id,
            did=did,
            callback=callback,
            patience=patience,
        )
        self._store = store
        self._offerings = offerings
        self._fit = fit
        self._judge = judge
        self._record = record

    def turn(self, process: Negotiation) -> Role | None:
        """Return whose turn it is."""
        return TURN[process.state]

    def speaks(self, process: Negotiation) -> bool:
        """Return whether the judge has something to decide."""
        return self._judge.speaks(
            Where(
                process.role,
                process.state,
                process.dataset,
                process.counterparty,
                visits(process.path, process.state),
            )
        )

    def has_ended(self, process: Negotiation) -> bool:
        """Return whether nothing can be said any more."""
        return not MOVES[process.state]

    def expected(self, process: Negotiation) -> str:
        """Say in words what has to be said next, and by whom."""
        return expected(process)

    # --- opening ---------------------------------------------------------------------------------

    def request(
        self, *, provider: str, endpoint: str, dataset: str, offer: Offer, use: DeclaredUse | None
    ) -> Negotiation:
        """Open a negotiation as consumer, asking for exactly what `offer` says.

        Raises:
            Malformed: if the offer speaks of another dataset, or we would negotiate with ourselves.
        """
        if offer.target not in (None, dataset):
            raise Malformed(f"offer.target is {offer.target!r}, but the dataset is {dataset!r}")
        asked = offer.model_copy(update={"target": dataset})
        pid = self._new_id()
        message = ContractRequestMessage(
            id=self._new_id(),
            consumer_pid=pid,
            callback_address=self._callback,
            offer=asked,
            use=checked_use(use),
        )
        return self._open(Role.CONSUMER, pid, provider, endpoint, message)

    def offer(self, *, consumer: str, endpoint: str, dataset: str, offer: Offer) -> Negotiation:
        """Open a negotiation as provider, with an offer for one consumer.

        Raises:
            NotFound: if we do not offer the dataset.
            UnknownTerm: if the offer says what nobody could enforce.
            PolicyMismatch: if it contradicts itself, or speaks of columns that the data lacks.
        """
        offering = self._offerings.get(dataset)
        if offering.withdrawn is not None:
            raise NotFound(f"dataset {dataset!r} was withdrawn; publish it again first")
        policy = compile_policy(offer)
        refuse_contradictions(policy)
        fit_to_columns(policy, offering.dataset.columns)
        ours = offer.model_copy(update={"target": dataset, "assigner": self._did})
        pid = self._new_id()
        message = ContractOfferMessage(
            id=self._new_id(), provider_pid=pid, callback_address=self._callback, offer=ours
        )
        return self._open(Role.PROVIDER, pid, consumer, endpoint, message)

    def _open(
        self,
        role: Role,
        pid: str,
        counterparty: str,
        endpoint: str,
        message: ContractRequestMessage | ContractOfferMessage,
    ) -> Negotiation:
        if counterparty == self._did:
            raise Malformed(f"{counterparty} is this participant itself; choose another counterparty")
        new = opened(role, pid, Party(counterparty, endpoint), message, self._clock())
        mail = (self._letter(new, message),)
        self._store.add(new, outgoing=mail)
        self._saved(new, mail)
        return new

    # --- hearing ---------------------------------------------------------------------------------

    def receive(self, caller: Caller, message: Message, pid: str | None) -> Negotiation:
        """Take a message of a counterparty; `pid` is our own process id, absent where the message opens one.

        A message that was seen before changes nothing.

        Raises:
            NotFound: if there is no such process, or it is not the caller's: the same answer.
            IllegalMove: if the caller may not say that here.
            Malformed: if the message does not fit the process.
        """
        if pid is None:
            return self._receive_first(caller, message)

        def hear(negotiation: Negotiation) -> Stepped[Negotiation]:
            self._check_party(caller, negotiation)
            if message.id is not None and message.id in negotiation.seen:
                return None
            return heard(negotiation, message, self._clock()), None

        return self._move(pid, hear)

    def _receive_first(self, caller: Caller, message: Message) -> Negotiation:
        if isinstance(message, ContractRequestMessage):
            role, theirs, wanted = Role.PROVIDER, message.consumer_pid, "consumer"
        elif isinstance(message, ContractOfferMessage):
            role, theirs, wanted = Role.CONSUMER, message.provider_pid, "provider"
        else:
            raise IllegalMove(f"{type(message).__name__} cannot open a negotiation")
        if wanted not in caller.roles:
            raise Forbidden(f"{caller.id} is no {wanted} in this data space; ask it for that role")
        found = self._store.find(caller.id, theirs)
        if found is None:
            if isinstance(message, ContractRequestMessage):
                self._check_offered(message.offer)
            party = Party(caller.id, message.callback_address, theirs)
            new = opened(role, self._new_id(), party, message, self._clock())
            try:
                self._store.add(new)
            except AlreadyExists:
                found = self._store.find(caller.id, theirs)
                if found is None:
                    raise
            else:
                self._saved(new, ())
                return new
        if found.role is not role or found.dataset != message.offer.target:
            raise AlreadyExists(f"your process id {theirs!r} belongs to another negotiation; use a fresh one")
        return found

    def _check_offered(self, offer: Offer) -> None:
        """Refuse a request for what we never offered; the judge compares the terms."""
        if offer.target is None:
            raise Malformed("offer.target is missing; it names the dataset")
        missing = NotFound(
            f"no offer {offer.id[:120]!r} for dataset {offer.target[:120]!r}; read the catalogue again"
        )
        try:
            offering = self._offerings.get(offer.target)
        except NotFound:
            raise missing from None
        if offering.withdrawn is not None or offering.offer(offer.id) is None:
            raise missing

    # --- speaking --------------------------------------------------------------------------------

    def drive(self, pid: str, *, known: Negotiation | None = None, approved: bool = False) -> Negotiation:
        """If there is something to decide, ask the judge, and save what we say; nothing to do is no error."""

        def speak(negotiation: Negotiation) -> Stepped[Negotiation]:
            if not self.speaks(negotiation):
                return None
            try:
                verdict = self._judge(self._case(negotiation, approved=approved))
            except Refused as error:
                verdict = Hold(f"cannot decide: {error}")
            if isinstance(verdict, Say):
                return self._say(negotiation, kept(negotiation, verdict, self._fit))
            return self._hold(negotiation, verdict)

        moved = self._move(pid, speak, known)
        if not self._is_ours(moved):
            self._owed.pop(pid, None)
        return moved

    def approve(self, pid: str) -> Negotiation:
        """Say yes, as a person, where a negotiation waits for one.

        Raises:
            IllegalMove: if it is not our turn.
        """
        negotiation = self.own(pid)
        if TURN[negotiation.state] is not negotiation.role:
            raise IllegalMove(f"it is not our turn in {negotiation.state}: {expected(negotiation)}")
        return self.drive(pid, approved=True)

    def terminate(self, pid: str, reason: str) -> Negotiation:
        """End a negotiation.

        Raises:
            IllegalMove: if it has ended already.
        """
        return self._move(pid, lambda negotiation: self._say(negotiation, end("terminated", shorten(reason))))

    # --- being told ------------------------------------------------------------------------------

    def delivered(self, outgoing: Outgoing, delivery: Delivery) -> None:
        """Learn the counterparty's process id from its answer to a first message."""
        if outgoing.method == "GET":
            return self._hear_standing(outgoing, delivery)
        if {"consumerPid", "providerPid"} <= outgoing.document.keys():
            return None  # not a first message: both ids were known when it was written
        answer = delivery.document if isinstance(delivery.document, dict) else {}

        def learn(negotiation: Negotiation) -> Stepped[Negotiation]:
            theirs = answer.get("providerPid" if negotiation.role is Role.CONSUMER else "consumerPid")
            if (
                negotiation.counter_pid is not None
                or not isinstance(theirs, str)
                or not 0 < len(theirs) <= 512
            ):
                return None
            known = replace(negotiation, counter_pid=theirs)
            if known.state is not State.TERMINATED:
                return known, None
            # We ended it before we knew where to say so.
            before = replace(known, state=State.REQUESTED if known.role is Role.CONSUMER else State.OFFERED)
            return self._say(before, end(known.problem or "terminated", *known.reasons))

        try:
            self._move(outgoing.process, learn)
        except AlreadyExists:
            self._give_up(
                outgoing, f"the peer answered with a process id that it uses already: {answer}"[:400], ()
            )

    def undeliverable(self, outgoing: Outgoing, problem: str, reasons: Sequence[str]) -> None:
        """End a negotiation whose message was refused, or could not be delivered in time."""
        self._give_up(outgoing, problem, reasons)

    def _give_up(self, outgoing: Outgoing, problem: str, reasons: Sequence[str]) -> None:
        said = failed(outgoing, problem)

        def quit_(negotiation: Negotiation) -> Stepped[Negotiation]:
            if negotiation.state is State.TERMINATED:
                return None
            if negotiation.state is State.FINALIZED:
                # We promised: whether or not the peer took note, the agreement stands until it is revoked.
                return None if negotiation.problem else (replace(negotiation, problem=said), None)
            moved, message = self._say(negotiation, end("not-taken", said, *map(shorten, reasons)))
            return replace(moved, problem=said, reasons=tuple(map(shorten, reasons))), message

        _log.warning("message given up", process=outgoing.process, problem=said)
        self._move(outgoing.process, quit_)

    # --- reading ---------------------------------------------------------------------------------

    def agreements(self, dataset: str | None = None, role: Role | None = None) -> Sequence[SignedAgreement]:
        """Return agreements, newest first."""
        return self._store.agreements(dataset, role)

    # --- inside ----------------------------------------------------------------------------------

    def _save(self, before: Negotiation, moved: Negotiation, outgoing: Sequence[Outgoing]) -> Negotiation:
        kind = told(before.state, moved)
        return self._store.save(
            moved,
            seen=before.version,
            outgoing=outgoing,
            records=() if kind is None else (self._record(kind[0], **kind[1]),),
            agreement=signed(moved) if moved.state is not before.state else None,
        )

    def _say(self, negotiation: Negotiation, say: Say) -> tuple[Negotiation, Message | None]:
        agreement_id = self._new_id() if say.what is Said.AGREEMENT else ""
        return spoken(negotiation, say, Pen(self._did, self._new_id(), agreement_id, self._clock()))

    def _learnt(self, process: Negotiation, standing: str) -> Negotiation | None:
        return learnt(process, standing, self._clock())

    def _hold(self, negotiation: Negotiation, hold: Hold) -> tuple[Negotiation, None] | None:
        if hold.until is not None:
            self._owe(negotiation.pid, hold.until)
            return None
        return None if negotiation.held == hold.why else (replace(negotiation, held=hold.why), None)

    def _case(self, negotiation: Negotiation, *, approved: bool) -> Case:
        published: tuple[Offer, ...] = ()
        if negotiation.role is Role.PROVIDER:
            try:
                offering = self._offerings.get(negotiation.dataset)
                published = () if offering.withdrawn else offering.dataset.has_policy
            except NotFound:
                published = ()
        return Case(
            role=negotiation.role,
            state=negotiation.state,
            me=self._did,
            counterparty=negotiation.counterparty,
            dataset=negotiation.dataset,
            offer=negotiation.offer,
            use=negotiation.use,
            agreement=negotiation.agreement,
            wanted=negotiation.wanted,
            published=published,
            rounds=visits(negotiation.path, State.REQUESTED),
            visit=visits(negotiation.path, negotiation.state),
            since=negotiation.updated,
            at=self._clock(),
            approved=approved,
            claims=self._claims(negotiation.counterparty),
        )
