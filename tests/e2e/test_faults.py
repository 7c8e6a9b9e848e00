"""Two connectors over a bad network: everything ends, alike or with a reason, and nothing twice.

The faults come from `tests.fault_proxy`, drawn from a seed; `FAULT_SEED` names another one.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from connector.negotiation.ports import Negotiation
from connector.outbox.process import Processes
from connector.transfer.ports import Transfer
from schemas.base import Role
from schemas.dsp.negotiation import NegotiationState as N
from schemas.dsp.transfer import TransferState as T
from schemas.errors import DataspaceError
from schemas.vocab import FORMAT_ARROW_HTTP
from tests.fault_proxy import TRAP, Fault, Schedule
from tests.faulty_space import MARKETING, SCIENCE, FaultySpace, Side, doubled, faulty_space

pytestmark = pytest.mark.e2e

SEED = os.environ.get("FAULT_SEED", "hanse")
AT_ONCE = 24
QUIET_SECONDS = 90.0
"""How long after the last act the mail may take: everything is given up after the patience of the space."""

# What both sides may hold in the end, as (consumer, provider). Most end alike. No protocol can agree on an
# end over a network that loses the last word for good (two generals). So a pair may stand unlike, but only
# - where the network cut the process off for good, or answered 400 in the place of the peer: only then;
# - if who has ended says why (`problem`); who waits shows whose turn it is, and since when.
# A refusal that is false because the message arrived all the same explains nothing: the peer is asked.
ALIKE = "alike"
NEGOTIATION_PAIRS: dict[tuple[N, N | None], str] = {
    (N.FINALIZED, N.FINALIZED): ALIKE,
    (N.TERMINATED, N.TERMINATED): ALIKE,
    # The request never arrived, or was refused.
    (N.TERMINATED, None): "consumer",
    # The consumer gave up, and could not say so.
    (N.TERMINATED, N.REQUESTED): "consumer",
    (N.TERMINATED, N.AGREED): "consumer",
    (N.TERMINATED, N.VERIFIED): "consumer",
    # The provider gave up, or refused, and could not say so.
    (N.REQUESTED, N.TERMINATED): "provider",
    (N.AGREED, N.TERMINATED): "provider",
    (N.VERIFIED, N.TERMINATED): "provider",
    # A provider keeps what it promised. It notes that the consumer could not be told, or had given up.
    (N.VERIFIED, N.FINALIZED): "provider",
    (N.TERMINATED, N.FINALIZED): "both",
}

TRANSFER_PAIRS: dict[tuple[T, T | None], str] = {
    (T.COMPLETED, T.COMPLETED): ALIKE,
    (T.TERMINATED, T.TERMINATED): ALIKE,
    (T.STARTED, T.STARTED): ALIKE,
    (T.SUSPENDED, T.SUSPENDED): ALIKE,
    (T.TERMINATED, None): "consumer",
    (T.TERMINATED, T.REQUESTED): "consumer",
    (T.TERMINATED, T.STARTED): "consumer",
    (T.TERMINATED, T.SUSPENDED): "consumer",
    (T.REQUESTED, T.TERMINATED): "provider",
    (T.STARTED, T.TERMINATED): "provider",
    (T.SUSPENDED, T.TERMINATED): "provider",
    (T.COMPLETED, T.STARTED): "consumer",
    (T.STARTED, T.COMPLETED): "provider",
    # The provider refused that the consumer goes on after a break, and so took no completion either.
    (T.COMPLETED, T.SUSPENDED): "consumer",
    # Each side ended it in its own way before it heard of the other's.
    (T.COMPLETED, T.TERMINATED): "both",
    (T.TERMINATED, T.COMPLETED): "both",
}


def wait_for(question: Callable[[], bool], seconds: float) -> bool:
    """Ask until the answer is yes, or the time is over."""
    end = time.monotonic() + seconds
    while not question():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def live(space: FaultySpace, number: int, seed: str) -> None:
    """Negotiate, transfer, and end it somehow; what the network does to it is looked at afterwards."""
    dice = random.Random(f"{seed}:{number}")
    consumer = space.sides[number % 2]
    provider = space.other(consumer)
    purpose = MARKETING if dice.random() < 0.1 else SCIENCE
    asked = consumer.ask(provider, dice.choice(["open", "research"]), purpose)
    agreed = consumer.connector.negotiations.wait(asked.pid, {N.FINALIZED}, 40)
    if agreed.state is not N.FINALIZED or agreed.agreement is None:
        return
    room = consumer.connector.transfers
    opened = room.request(agreed.agreement.id, None, FORMAT_ARROW_HTTP)
    started = room.wait(opened.pid, {T.STARTED}, 40)
    if started.state is not T.STARTED or started.counter_pid is None:
        return
    # The peer may have ended it meanwhile: then there is nothing to do any more.
    with suppress(DataspaceError):
        act(dice.randrange(8), consumer, provider, started)


def act(choice: int, consumer: Side, provider: Side, started: Transfer) -> None:
    """Do something with a transfer that runs."""
    ours, theirs = consumer.connector.transfers, provider.connector.transfers
    mirror = str(started.counter_pid)
    match choice:
        case 0 | 1 | 2:
            ours.complete(started.pid)
        case 3:
            theirs.complete(mirror)
        case 4:
            ours.suspend(started.pid, "a break")
            ours.start(started.pid)
            ours.complete(started.pid)
        case 5:
            theirs.suspend(mirror, "a break")
            theirs.start(mirror)
        case 6:
            theirs.terminate(mirror, "enough")
        case _:
            ours.terminate(started.pid, "enough")


def is_quiet(space: FaultySpace) -> bool:
    """Whether nobody has mail, and it is nobody's turn who could go on."""
    for side in space.sides:
        parts = side.connector
        # Who waits in vain asks where the other stands, and does so for days.
        if any(mail.method == "POST" for mail in parts.outbox.pending()):
            return False
        rooms: tuple[Processes[Any], ...] = (parts.negotiations, parts.transfers)
        for room in rooms:
            if any(room.standing(process)[0] == "us" and not process.held for process in room.unfinished()):
                return False
    return True


def judge(
    speaks: str | None,
    mine: Negotiation | Transfer,
    theirs: Negotiation | Transfer | None,
    explained: set[str],
) -> str | None:
    """Say what is wrong with a pair of records, if anything is; `speaks` is what the table says of it."""
    says = bool(mine.problem), theirs is not None and bool(theirs.problem)
    wrong = None
    if speaks is None:
        wrong = "incompatible ends"
    elif speaks != ALIKE and mine.pid not in explained:
        wrong = "the network does not explain that they stand unlike"
    elif speaks in ("consumer", "both") and not says[0]:
        wrong = "the consumer does not say why"
    elif speaks in ("provider", "both") and not says[1]:
        wrong = "the provider does not say why"
    elif speaks == ALIKE and mine.state == "TERMINATED" and says != (True, True):
        wrong = "ended without a reason"
    if wrong is None:
        return None
    told = f"provider {theirs.state} ({theirs.problem})" if theirs else "provider knows nothing"
    return f"{wrong}: {mine.pid}: consumer {mine.state} ({mine.problem}), {told}"


def explained(space: FaultySpace) -> set[str]:
    """The processes (by the consumer's id) to which the network did what cannot be healed."""
    schedule = space.proxy.schedule
    lied = {seen.sent.process for seen in space.proxy.seen if seen.fault is Fault.REFUSE}
    return lied | (schedule.dead if schedule else set())


def findings(space: FaultySpace) -> tuple[list[str], Counter[str]]:
    """Compare what both sides hold; return what is wrong, and how often each pair came."""
    wrong: list[str | None] = []
    pairs: Counter[str] = Counter()
    known = explained(space)
    for consumer in space.sides:
        provider = space.other(consumer)
        wrong += one_agreement_each(provider)
        wrong += [shown_badly(consumer, one) for one in consumer.negotiations()]
        for mine in consumer.negotiations():
            if mine.role is Role.CONSUMER:
                held = provider.connector.stores.negotiations.find(consumer.did, mine.pid)
                state = held.state if held else None
                pairs[f"negotiation {mine.state} / {state}"] += 1
                wrong.append(judge(NEGOTIATION_PAIRS.get((mine.state, state)), mine, held, known))
                if held and mine.state is held.state is N.FINALIZED and mine.agreement != held.agreement:
                    wrong.append(f"{mine.pid}: both are final with different agreements")
        for move in consumer.transfers():
            if move.role is Role.CONSUMER:
                mirror = provider.connector.stores.transfers.find(consumer.did, move.pid)
                stands = mirror.state if mirror else None
                pairs[f"transfer {move.state} / {stands}"] += 1
                wrong.append(judge(TRANSFER_PAIRS.get((move.state, stands)), move, mirror, known))
    return [each for each in wrong if each], pairs


def shown_badly(side: Side, process: Negotiation) -> str | None:
    """Name a negotiation that waits and does not show for whom, and for what."""
    room = side.connector.negotiations
    whose, why = room.standing(process)
    if room.has_ended(process) or (whose == "counterparty" and why):
        return None
    return f"{process.pid} of {side.name} is stuck at {process.state}: {whose}, {why}"


def one_agreement_each(provider: Side) -> list[str]:
    """Name what exists twice: agreements of a negotiation, processes of a request."""
    given = Counter(
        held.negotiation for held in provider.connector.negotiations.agreements(role=Role.PROVIDER)
    )
    wrong = [f"{pid} has {count} agreements" for pid, count in given.items() if count > 1]
    for records in (provider.negotiations(), provider.transfers()):
        known = Counter(one.counter_pid for one in records if one.role is Role.PROVIDER)
        wrong += [f"{pid} was opened {count} times" for pid, count in known.items() if count > 1]
    return wrong


def run(space: FaultySpace, count: int, seed: str) -> tuple[list[str], Counter[str]]:
    """Let so many processes live, until the network is quiet, and say what is wrong."""
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        for done in [crowd.submit(live, space, number, seed) for number in range(count)]:
            done.result()
    quiet = wait_for(lambda: is_quiet(space), QUIET_SECONDS)
    wrong, pairs = findings(space)
    if trapped := [seen.sent for seen in space.proxy.seen if seen.sent.path == TRAP]:
        wrong.append(f"{len(trapped)} redirects were followed, {trapped[:3]}")
    if not quiet:
        waiting = [mail for side in space.sides for mail in side.connector.outbox.pending()]
        wrong.append(f"not quiet after {QUIET_SECONDS} s: {len(waiting)} messages wait, {waiting[:3]}")
    for side in space.sides:
        wrong += [f"{side.name} tells {twice}" for twice in doubled(side.records())]
        report = side.audit()
        wrong += [f"{side.name}: {finding}" for finding in report.findings if not report.holds]
    return wrong, pairs


@pytest.mark.parametrize(
    ("database", "count"), [("sqlite", 500), pytest.param("postgresql", 100, marks=pytest.mark.postgres)]
)
def test_over_a_bad_network_everything_ends_alike_or_with_a_reason_and_nothing_twice(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, count: int
) -> None:
    databases = None
    if database == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("postgres_url")
        databases = {name: make() for name in ("hamburg", "bremen")}
    schedule = Schedule(f"{SEED} {database}")
    begun = time.monotonic()
    with faulty_space(tmp_path, schedule, databases) as space:
        wrong, pairs = run(space, count, SEED)
        met = space.proxy.counts()
    took = time.monotonic() - begun
    sys.stdout.write(f"\nseed {SEED!r}, {database}, {count} processes, {took:.0f} s\n{dict(pairs)}\n{met}\n")
    assert not wrong, "\n".join(wrong[:40])
    assert sum(n for pair, n in pairs.items() if pair.startswith("negotiation")) == count
    # The run was worth it: every fault was met, and most processes came through all the same.
    assert database != "sqlite" or set(met) >= {fault.value for fault in Fault}, met
    assert pairs["negotiation FINALIZED / FINALIZED"] > count // 2, pairs
