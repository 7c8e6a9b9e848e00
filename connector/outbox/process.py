"""What negotiations and transfers share: load, take a step, save it with the mail it causes, wake who waits.

A move and everything that it causes are one save. A crash before it leaves things as they were, and the
peer repeats its message; a crash after it leaves saved mail, which the outbox finds, or our turn, which
`recover` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Generic, Protocol, TypeVar

import structlog

from connector.outbox.letter import PATIENCE, inquiry, letter, unnamed
from connector.outbox.ports import Delivery, Kind, Outgoing, Process
from connector.outbox.refusal import Table, Verdict, judged
from connector.outbox.watch import Watch
from connector.trust.ports import Caller
from schemas.base import Message, Role
from schemas.errors import DataspaceError, NotFound, StaleState

MOST_TRIES = 8
"""How often a step is taken again because somebody else moved first."""
RECOVERY = timedelta(seconds=30)
"""How often `tick` looks through the store for turns that another process left behind."""
GRACE = timedelta(seconds=1)
"""How long the door may take to call `drive` after its answer, before `tick` does."""

_log = structlog.get_logger("connector.process")


P = TypeVar("P", bound=Process)
Stepped = tuple[P, Message | None] | None
"""The process after a step and the message that the step sends; None if there is nothing to do."""


Q = TypeVar("Q", bound=Process, covariant=True)


class ProcessStore(Protocol[Q]):
    """What the stores of both rooms promise alike."""

    def get(self, pid: str) -> Q:
        """Return a process, or raise NotFound."""
        ...

    def unfinished(self) -> Sequence[Q]:
        """Return processes that have not ended, oldest first."""
        ...

    def recent(self, most: int = 100) -> Sequence[Q]:
        """Return processes, last changed first."""
        ...


class Processes(Generic[P]):
    """The processes of one participant; the rooms say what a step is and how it is saved."""

    KIND: ClassVar[Kind]
    TABLE: ClassVar[Table]
    STATE_PATH: ClassVar[str]

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        store: ProcessStore[P],
        wake: Callable[[str], None],
        remind: Callable[[datetime], None],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        did: str,
        callback: str,
        patience: timedelta = PATIENCE,
    ) -> None:
        """Make the room.

        `wake` has the mail of a process delivered, `remind` has `tick` called at a time; `callback` is our
        own DSP base URL, `patience` how long a message is tried.
        """
        self._processes = store
        self._wake = wake
        self._remind = remind
        self._clock = clock
        self._new_id = new_id
        self._did = did
        self._callback = callback
        self._patience = patience
        self._watch = Watch()
        self._owed: dict[str, datetime] = {}
        self._asked: dict[str, datetime] = {}
        self._recovered: datetime | None = None

    # --- what each room says ---------------------------------------------------------------------

    def drive(self, pid: str, *, known: P | None = None) -> P:
        """If it is our turn, decide what to say, and save it; idempotent.

        `known` is the process as just saved, where the caller has it: then it is not read again.
        """
        raise NotImplementedError

    def turn(self, process: P) -> Role | None:
        """Return whose turn it is; nobody's where a process may rest."""
        raise NotImplementedError

    def speaks(self, process: P) -> bool:
        """Return whether we may have something to say: where it is our turn, or a rule acts unasked."""
        raise NotImplementedError

    def waits(self, process: P) -> bool:
        """Return whether a person has to decide before we say anything."""
        return process.held is not None

    def has_ended(self, process: P) -> bool:
        """Return whether nothing can be said any more."""
        raise NotImplementedError

    def expected(self, process: P) -> str:
        """Say in words what has to be said next, and by whom."""
        raise NotImplementedError

    def _save(self, before: P, moved: P, outgoing: Sequence[Outgoing]) -> P:
        raise NotImplementedError

    def _learnt(self, process: P, standing: str) -> P | None:
        """Return a process after its counterparty told where it stands; None if nothing follows from that."""
        raise NotImplementedError

    # --- reading ---------------------------------------------------------------------------------

    def get(self, caller: Caller, pid: str) -> P:
        """Return a process to its counterparty.

        Raises:
            NotFound: if there is none, or it is somebody else's: the same answer.
        """
        process = self.own(pid)
        self._check_party(caller, process)
        return process

    def own(self, pid: str) -> P:
        """Return a process to its own participant.

        Raises:
            NotFound: if there is none.
        """
        try:
            return self._processes.get(pid)
        except NotFound:
            raise self._unknown(pid) from None

    def recent(self, most: int = 100) -> Sequence[P]:
        """Return processes, last changed first."""
        return self._processes.recent(most)

    def unfinished(self) -> Sequence[P]:
        """Return processes that have not ended, oldest first."""
        return self._processes.unfinished()

    def wait(self, pid: str, states: Collection[str], timeout: float) -> P:
        """Return a process once it is in one of `states` or has ended, or after `timeout` seconds."""
        return self._watch.wait(
            pid, lambda: self.own(pid), lambda found: found.state in states or self.has_ended(found), timeout
        )

    def standing(self, process: P) -> tuple[str | None, str]:
        """Say whose turn it is ("us", "counterparty" or nobody), and what is waited for."""
        turn = self.turn(process)
        whose = None if turn is None else "us" if turn is process.role else "counterparty"
        return whose, process.held or self.expected(process)

    # --- being told ------------------------------------------------------------------------------

    def refused(self, outgoing: Outgoing, standing: str | None) -> Verdict:
        """Judge a refusal by where the counterparty stands, and by what it has said to us since."""
        process = self.own(outgoing.process)
        if unnamed(outgoing) and process.counter_pid is not None:
            return Verdict.TAKEN  # it spoke to us about the process that this message opened
        return judged(self.TABLE, outgoing.document, process.role, process.state, standing)

    def _hear_standing(self, outgoing: Outgoing, delivery: Delivery) -> None:
        """Take note of where the counterparty stands, as it said when it was asked."""

        def learn(process: P) -> Stepped[P]:
            learnt = self._learnt(process, str(delivery.document["state"]))
            return None if learnt is None else (learnt, None)

        self._move(outgoing.process, learn)

    # --- recovery --------------------------------------------------------------------------------

    def recover(self) -> int:
        """Drive every process in which we may have to speak and that waits for nobody; return how many.

        Where it is the counterparty's turn and it has been silent for long, ask it where it stands: its last
        word may have been lost for good.
        """
        unfinished = self.unfinished()
        ours = [one for one in unfinished if self._is_ours(one)]
        for process in ours:
            self.follow_up(process.pid)
        self._ask_the_silent(unfinished)
        return len(ours)

    def _ask_the_silent(self, unfinished: Sequence[P]) -> None:
        now = self._clock()
        waiting = [one for one in unfinished if self.turn(one) is one.role.other and one.counter_pid]
        self._asked = {one.pid: self._asked.get(one.pid, one.updated) for one in waiting}
        for process in waiting:
            if now - max(process.updated, self._asked[process.pid]) < self._patience:
                continue
            self._asked[process.pid] = now
            try:
                self._save(process, process, (inquiry(process, self.KIND, self.STATE_PATH, now),))
            except StaleState:
                continue  # it has just moved
            self._wake(process.pid)

    def tick(self) -> None:
        """Drive what is owed; called once a second. Looks through the whole store every half minute."""
        now = self._clock()
        if self._recovered is None or now - self._recovered >= RECOVERY:
            self._recovered = now
            self.recover()
        for pid in [pid for pid, due in list(self._owed.items()) if due <= now]:
            self.follow_up(pid)

    def follow_up(self, pid: str, known: P | None = None, *, after: float = 0.0) -> None:
        """Drive a process once an answer has left, or `after` so many seconds.

        A failure is logged, and `tick` tries again.
        """
        if after:
            self._owe(pid, self._clock() + timedelta(seconds=after))
            return
        try:
            self.drive(pid, known=known)
        except DataspaceError as error:
            _log.warning(
                "process not driven", kind=self.KIND, process=pid, problem=str(error), code=error.code
            )

    # --- inside ----------------------------------------------------------------------------------

    def _owe(self, pid: str, due: datetime) -> None:
        """Have a process driven at `due`."""
        self._owed[pid] = due
        self._remind(due)

    def _move(self, pid: str, step: Callable[[P], Stepped[P]], known: P | None = None) -> P:
        """Load (unless `known`), take a step, save; take it again if somebody else moved first.

        Raises:
            StaleState: if that happens too often.
        """
        for _ in range(MOST_TRIES):
            before, known = known or self.own(pid), None
            stepped = step(before)
            if stepped is None:
                return before
            moved, message = stepped
            mail = () if message is None else (self._letter(moved, message),)
            try:
                saved = self._save(before, moved, mail)
            except StaleState:
                continue
            self._saved(saved, mail)
            return saved
        raise StaleState(f"{self.KIND} {pid} changed {MOST_TRIES} times while we decided; try again")

    def _saved(self, process: P, mail: Sequence[Outgoing]) -> None:
        """Tell whoever waits: the outbox for the mail, `wait` for the state, `tick` for our turn."""
        if mail:
            self._wake(process.pid)
        if self._is_ours(process):
            if mail:
                # We spoke, and may speak again by a rule: no door will call `drive`.
                self._owe(process.pid, self._clock())
            else:
                self._owed.setdefault(process.pid, self._clock() + GRACE)
        else:
            self._owed.pop(process.pid, None)
        self._watch.ring(process.pid)

    def _is_ours(self, process: P) -> bool:
        return self.speaks(process) and not self.waits(process)

    def _letter(self, process: P, message: Message) -> Outgoing:
        return letter(message, process, self.KIND, at=self._clock(), patience=self._patience)

    def _check_party(self, caller: Caller, process: P) -> None:
        if caller.id != process.counterparty:
            raise self._unknown(process.pid)

    def _unknown(self, pid: str) -> NotFound:
        return NotFound(f"no {self.KIND} {pid[:120]!r} of yours here")
