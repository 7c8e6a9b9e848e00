"""Transfers, both roles: load, ask the table and the policy, save the move with all that it causes.

What a crash leaves behind, and who repairs it, is said in `connector.outbox.process`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from connector.negotiation.ports import NegotiationStore, SignedAgreement
from connector.offering.ports import OfferingStore
from connector.outbox.letter import PATIENCE, failed, shorten
from connector.outbox.path import visits
from connector.outbox.ports import Delivery, Outgoing
from connector.outbox.process import Processes, Stepped
from connector.outbox.rules import Hold, Where
from connector.transfer.direction import direction_of
from connector.transfer.judge import Case, Judging, Say
from connector.transfer.machine import MOVES, TURN, Said
from connector.transfer.ports import Received, Transfer, TransferStore
from connector.transfer.starts import Starts
from connector.transfer.steps import expected, heard, learnt, opened, rested, spoken, told
from connector.trust.ports import Caller
from schemas.base import Message, Role
from schemas.binding.paths import TRANSFER_PATH
from schemas.dsp.transfer import DataAddress, TransferRequestMessage
from schemas.dsp.transfer import TransferState as State
from schemas.errors import AlreadyExists, Forbidden, IllegalMove, Malformed, NotFound
from schemas.odrl import DeclaredUse
from schemas.usage import UsageRecord

_log = structlog.get_logger("connector.transfer")


class Transfers(Processes[Transfer]):
    """The transfers of one participant (also a Sender: it is told what became of its mail)."""

    KIND = "transfer"
    TABLE = MOVES
    STATE_PATH = TRANSFER_PATH

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        store: TransferStore,
        agreements: NegotiationStore,
        offerings: OfferingStore,
        starts: Starts,
        judge: Judging,
        wake: Callable[[str], None],
        remind: Callable[[datetime], None],
        record: Callable[..., UsageRecord],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        did: str,
        callback: str,
        patience: timedelta = PATIENCE,
        moved: Callable[[Transfer], None] | None = None,
        sinks: Callable[[str, str], DataAddress] | None = None,
    ) -> None:
        """Make the room.

        `starts` decides as provider; `moved` is told of every saved change of state, so that running streams
        can end; `callback` is our own DSP base URL; `sinks` turns a transfer's pid and format into where a
        provider pushes the data to us.
        """
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
        self._agreements = agreements
        self._offerings = offerings
        self._starts = starts
        self._record = record
        self._judge = judge
        self._told = moved
        self._sinks = sinks

    def turn(self, process: Transfer) -> Role | None:
        """Return whose turn it is; nobody's in a transfer that runs or rests."""
        return TURN[process.state]

    def speaks(self, process: Transfer) -> bool:
        """Return whether the judge has something to decide."""
        return self._judge.speaks(_where(process))

    def waits(self, process: Transfer) -> bool:
        """Return whether a person has to decide; one that we suspended waits for nobody in particular."""
        return process.held is not None and self.turn(process) is process.role

    def has_ended(self, process: Transfer) -> bool:
        """Return whether nothing can be said any more."""
        return not MOVES[process.state]

    def expected(self, process: Transfer) -> str:
        """Say in words what has to be said next, and by whom."""
        return expected(process)

    # --- opening ---------------------------------------------------------------------------------

    def request(self, agreement_id: str, use: DeclaredUse | None, format: str) -> Transfer:
        """Open a transfer as consumer, for the use declared now or, if none is, at the negotiation.

        Raises:
            NotFound: if there is no such agreement.
            Forbidden: if it was not given to us, or does not stand.
        """
        held = self._agreements.agreement(agreement_id)
        if held.role is not Role.CONSUMER:
            raise Forbidden(
                f"agreement {agreement_id} was given by us to {held.counterparty}; only it can fetch data"
            )
        if not held.final or held.revoked is not None:
            why = f"was revoked: {held.revoked}" if held.revoked else "is not final yet"
            raise Forbidden(f"agreement {agreement_id} {why}; negotiate a new one")
        pid = self._new_id()
        message = TransferRequestMessage(
            id=self._new_id(),
            consumer_pid=pid,
            agreement_id=agreement_id,
            format=format,
            callback_address=self._callback,
            data_address=self._sinks(pid, format) if self._sinks and direction_of(format) == "push" else None,
            use=use or held.use,
        )
        new = opened(held, pid, None, message, self._clock())
        mail = (self._letter(new, message),)
        self._store.add(new, outgoing=mail)
        self._saved(new, mail)
        return new

    # --- hearing ---------------------------------------------------------------------------------

    def receive(self, caller: Caller, message: Message, pid: str | None) -> Transfer:
        """Take a message of a counterparty; `pid` is our own process id, absent where the message opens one.

        A message that was seen before changes nothing.

        Raises:
            NotFound: if there is no such process or agreement, or it is not the caller's: the same answer.
            IllegalMove: if the caller may not say that here.
            Malformed: if the message does not fit the process.
        """
        if pid is None:
            if not isinstance(message, TransferRequestMessage):
                raise IllegalMove(f"{type(message).__name__} cannot open a transfer")
            return self._receive_first(caller, message)

        def hear(transfer: Transfer) -> Stepped[Transfer]:
            self._check_party(caller, transfer)
            if message.id is not None and message.id in transfer.seen:
                return None
            return heard(transfer, message, self._clock()), None

        return self._move(pid, hear)

    def _receive_first(self, caller: Caller, message: TransferRequestMessage) -> Transfer:
        found = self._store.find(caller.id, message.consumer_pid)
        if found is None:
            new = self._requested(caller, message)
            try:
                self._store.add(new)
            except AlreadyExists:
                found = self._store.find(caller.id, message.consumer_pid)
                if found is None:
                    raise
            else:
                self._saved(new, ())
                return new
        if found.role is not Role.PROVIDER or found.agreement != message.agreement_id:
            raise AlreadyExists(
                f"your process id {message.consumer_pid!r} belongs to another transfer; use a fresh one"
            )
        return found

    def _requested(self, caller: Caller, message: TransferRequestMessage) -> Transfer:
        held = self._given(caller, message.agreement_id)
        if not held.final:
            raise IllegalMove(
                f"agreement {message.agreement_id!r} is not final; finish its negotiation first"
            )
        formats = self._formats(held.agreement.target)
        if message.format not in formats:
            served = ", ".join(formats) or "none"
            raise Malformed(
                f"format {message.format[:80]!r} is not served for this dataset; served: {served}"
            )
        return opened(held, self._new_id(), message.consumer_pid, message, self._clock())

    def _given(self, caller: Caller, agreement_id: str) -> SignedAgreement:
        missing = NotFound(f"no agreement {agreement_id[:120]!r} of yours here")
        try:
            held = self._agreements.agreement(agreement_id)
        except NotFound:
            raise missing from None
        foreign = held.control_plane is not None  # what it suspended must not be had past it, at our door
        if held.role is not Role.PROVIDER or held.counterparty != caller.id or foreign:
            raise missing
        return held

    def _formats(self, dataset: str) -> tuple[str, ...]:
        try:
            offering = self._offerings.get(dataset)
        except NotFound:
            return ()
        return tuple(dict.fromkeys(one.format for one in offering.dataset.distribution))

    # --- speaking --------------------------------------------------------------------------------

    def drive(self, pid: str, *, known: Transfer | None = None) -> Transfer:
        """If there is something to decide, ask the judge, and save what we say; nothing to do is no error."""

        def speak(transfer: Transfer) -> Stepped[Transfer]:
            if not self.speaks(transfer):
                return None
            match self._judge(Case(_where(transfer), transfer.updated, self._clock())):
                case Hold(until=datetime() as until):
                    self._owe(pid, until)
                    return None
                case Hold(why=why):
                    return None if transfer.held == why else (replace(transfer, held=why), None)
                case Say(what=Said.START):
                    return self._say(transfer, self._start(transfer))
                case Say() as say:
                    return self._say(transfer, say)

        moved = self._move(pid, speak, known)
        if not self._is_ours(moved):
            self._owed.pop(pid, None)
        return moved

    def _start(self, transfer: Transfer) -> Say:
        return Say(Said.START) if transfer.role is Role.CONSUMER else self._starts.say(transfer)

    def complete(self, pid: str) -> Transfer:
        """Say that a transfer is complete.

        Raises:
            IllegalMove: if it is not running.
        """
        return self._move(pid, lambda transfer: self._say(transfer, Say(Said.COMPLETION)))

    def suspend(self, pid: str, reason: str) -> Transfer:
        """Pause a transfer; only we can resume it then.

        Raises:
            IllegalMove: if it is not running.
        """
        say = Say(Said.SUSPENSION, code="suspended", reasons=(shorten(reason),))
        return self._move(pid, lambda transfer: self._say(transfer, say))

    def start(self, pid: str) -> Transfer:
        """Say, as a person, that a transfer starts: one that waits for approval, or one that is suspended.

        A provider decides about the use (again), and gives a fresh ticket.

        Raises:
            IllegalMove: if it is neither.
        """

        def begin(transfer: Transfer) -> Stepped[Transfer]:
            if transfer.state is not State.SUSPENDED and self.turn(transfer) is not transfer.role:
                raise IllegalMove(
                    f"transfer {pid} is {transfer.state}; only one that is suspended, or that a consumer "
                    "asked us for, can be started"
                )
            return self._say(transfer, self._start(transfer))

        return self._move(pid, begin)

    def terminate(self, pid: str, reason: str) -> Transfer:
        """End a transfer.

        Raises:
            IllegalMove: if it has ended already.
        """
        say = Say(Said.TERMINATION, code="terminated", reasons=(shorten(reason),))
        return self._move(pid, lambda transfer: self._say(transfer, say))

    # --- receiving a push ------------------------------------------------------------------------

    def may_receive(self, pid: str) -> str | None:
        """Say why nothing may be pushed to us for a transfer; None if it may.

        A provider may push before its start message has arrived.

        Raises:
            NotFound: if there is no such transfer, or none that receives.
        """
        transfer = self.own(pid)
        if transfer.role is not Role.CONSUMER or direction_of(transfer.format) != "push":
            raise NotFound(f"no transfer {pid[:120]!r} that receives")
        return None if transfer.state in (State.REQUESTED, State.STARTED) else f"it is {transfer.state}"

    def landed(self, pid: str, received: Received) -> None:
        """Take note of what arrived."""
        self._move(pid, lambda transfer: (replace(transfer, received=received), None))

    # --- being told ------------------------------------------------------------------------------

    def delivered(self, outgoing: Outgoing, delivery: Delivery) -> None:
        """Learn the provider's process id from its answer to a request."""
        if outgoing.method == "GET":
            return self._hear_standing(outgoing, delivery)
        if outgoing.document.get("@type") != TransferRequestMessage.TYPE:
            return None
        answer = delivery.document if isinstance(delivery.document, dict) else {}
        theirs = answer.get("providerPid")

        def learn(transfer: Transfer) -> Stepped[Transfer]:
            if transfer.counter_pid is not None or not isinstance(theirs, str) or not 0 < len(theirs) <= 512:
                return None
            known = replace(transfer, counter_pid=theirs)
            if known.state is not State.TERMINATED:
                return known, None
            # We ended it before we knew where to say so.
            say = Say(Said.TERMINATION, code=known.problem, reasons=known.reasons)
            return self._say(replace(known, state=State.REQUESTED), say)

        try:
            self._move(outgoing.process, learn)
        except AlreadyExists:
            self.undeliverable(
                outgoing, f"the peer answered with a process id it uses already: {theirs}"[:200], ()
            )

    def undeliverable(self, outgoing: Outgoing, problem: str, reasons: Sequence[str]) -> None:
        """End a transfer whose message was refused, or could not be delivered in time."""
        kind = outgoing.document.get("@type")
        note = failed(outgoing, problem)

        def give_up(transfer: Transfer) -> Stepped[Transfer]:
            repeated = transfer.problem == note and transfer.state is not State.STARTED
            if transfer.state is State.TERMINATED or repeated:
                return None
            if transfer.state is State.COMPLETED:
                return replace(transfer, problem=note), None
            if (
                transfer.role is Role.CONSUMER
                and kind == "TransferStartMessage"
                and transfer.state is State.STARTED
            ):
                # We asked to resume, and the provider does not want to: it stays suspended.
                return rested(transfer, note, self._clock()), None
            texts = tuple(map(shorten, reasons))
            moved, message = self._say(
                transfer, Say(Said.TERMINATION, code="not-taken", reasons=(note, *texts))
            )
            return replace(moved, problem=note, reasons=texts), message

        _log.warning("message given up", process=outgoing.process, problem=note)
        self._move(outgoing.process, give_up)

    # --- inside ----------------------------------------------------------------------------------

    def _save(self, before: Transfer, moved: Transfer, outgoing: Sequence[Outgoing]) -> Transfer:
        kind = told(before.state, moved, self._digest(moved.agreement))
        saved = self._store.save(
            moved,
            seen=before.version,
            outgoing=outgoing,
            records=() if kind is None else (self._record(kind[0], **kind[1]),),
        )
        if self._told is not None and saved.state is not before.state:
            self._told(saved)
        return saved

    def _learnt(self, process: Transfer, standing: str) -> Transfer | None:
        return learnt(process, standing, self._clock())

    def _digest(self, agreement_id: str) -> str | None:
        try:
            return self._agreements.agreement(agreement_id).digest
        except NotFound:
            return None

    def _say(self, transfer: Transfer, say: Say) -> tuple[Transfer, Message | None]:
        return spoken(transfer, say, message_id=self._new_id(), at=self._clock())


def _where(transfer: Transfer) -> Where:
    visit = visits(transfer.path, transfer.state)
    return Where(transfer.role, transfer.state, transfer.agreement, transfer.counterparty, visit)
