"""What a killed process held is taken back at once, and what may be in the hands of a living one never."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from connector.adapters import alive as alive_files
from connector.adapters.sql import SqlStores
from schemas.errors import StorageUnavailable
from tests.contract.conftest import Fail
from tests.lease_holder import lease_holder
from tests.store_builders import MINUTE, NOW, data_flow, outgoing, transfer

SOON = NOW + MINUTE
PROCESS = "urn:process:1"
Start = Callable[..., SqlStores]


@pytest.fixture
def alive(tmp_path: Path) -> Path:
    """Where processes of one connector show that they live."""
    return tmp_path / "alive"


@pytest.fixture
def start(stores_url: str, alive: Path) -> Iterator[Start]:
    """Opens the stores as a process of the connector does, or as one elsewhere, in another folder."""
    with ExitStack() as opened:

        def open_stores(folder: Path = alive) -> SqlStores:
            stores = SqlStores(stores_url, alive=folder)
            opened.callback(stores.close)
            return stores

        yield open_stores


def test_the_mail_of_a_killed_process_is_leased_at_once_by_the_next(
    start: Start, stores_url: str, alive: Path
) -> None:
    message = outgoing()
    start().outbox.add(message)
    with lease_holder(stores_url, alive, PROCESS) as holder:
        assert holder.leased == [message.id]
        holder.kill()
    following = start()
    following.take_back()
    assert following.outbox.due(NOW) == [PROCESS]
    assert following.outbox.claim(PROCESS, NOW, SOON) == message
    assert len(list(alive.iterdir())) == 2, "what is left of the dead one is tidied away"


def test_a_process_that_lives_is_not_robbed_even_while_it_stands_still(
    start: Start, stores_url: str, alive: Path
) -> None:
    message = outgoing()
    other = start()
    other.outbox.add(message)
    with lease_holder(stores_url, alive, PROCESS) as holder:
        os.kill(holder.pid, signal.SIGSTOP)
        other.take_back()
        assert other.outbox.due(NOW) == []
        assert other.outbox.claim(PROCESS, NOW, SOON) is None
        holder.kill()
        other.take_back()
        assert other.outbox.claim(PROCESS, NOW, SOON) == message, "one that was up before takes it back too"


def test_of_many_who_come_at_once_one_takes_each_message_of_the_dead(
    start: Start, stores_url: str, alive: Path
) -> None:
    processes = [f"urn:process:{number}" for number in range(8)]
    many = [start() for _ in range(4)]
    for process in processes:
        many[0].outbox.add(outgoing(process))
    with lease_holder(stores_url, alive, *processes) as holder:
        assert len(holder.leased) == len(processes)
        holder.kill()
    together, claimed = threading.Barrier(len(many)), []

    def take(stores: SqlStores) -> None:
        together.wait(30)
        for process in processes:
            stores.take_back()
            message = stores.outbox.claim(process, NOW, SOON)
            if message is not None:
                claimed.append(message.id)

    threads = [threading.Thread(target=take, args=(each,)) for each in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(holder.leased)


def test_what_was_leased_again_after_its_time_stays_with_its_new_holder(
    start: Start, stores_url: str, alive: Path
) -> None:
    other = start()
    other.outbox.add(outgoing())
    with lease_holder(stores_url, alive, PROCESS) as holder:
        assert other.outbox.claim(PROCESS, SOON, SOON + MINUTE) is not None
        holder.kill()
    third = start()
    third.take_back()
    assert third.outbox.due(SOON) == []


@pytest.mark.parametrize("late", ["release", "postpone"])
def test_who_comes_back_late_ends_no_lease_of_who_took_its_message_over(start: Start, late: str) -> None:
    first, second = start(), start()
    message = outgoing()
    first.outbox.add(message)
    assert first.outbox.claim(PROCESS, NOW, SOON) == message
    assert second.outbox.claim(PROCESS, SOON, SOON + MINUTE) == message
    if late == "release":
        first.outbox.release(message.id)
    else:
        first.outbox.postpone(message.id, SOON, "it took too long")
    assert first.outbox.due(SOON) == []
    assert first.outbox.claim(PROCESS, SOON, SOON + MINUTE) is None
    assert second.outbox.pending() == [message]
    second.outbox.postpone(message.id, SOON, "nobody there")
    assert first.outbox.due(SOON) == [PROCESS]


def test_of_who_lived_elsewhere_nothing_is_known_and_the_lease_is_waited_for(
    start: Start, stores_url: str, alive: Path, tmp_path: Path
) -> None:
    start().outbox.add(outgoing())
    with lease_holder(stores_url, tmp_path / "elsewhere", PROCESS) as holder:
        holder.kill()
    following = start()
    following.take_back()
    assert following.outbox.due(NOW) == []
    assert following.outbox.due(SOON) == [PROCESS]


@pytest.mark.parametrize("what", ["gone", "of another run", "of no run", "empty"])
def test_a_sign_of_life_that_proves_nothing_frees_nothing(
    start: Start, stores_url: str, alive: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start().outbox.add(outgoing())
    with lease_holder(stores_url, alive, PROCESS) as holder:
        holder.kill()
    if what == "of no run":
        monkeypatch.setattr(alive_files, "run_of_the_machine", lambda: b"")
    else:
        for sign in alive.iterdir():
            if what == "gone":
                sign.unlink()
            else:
                sign.write_bytes(b"another-boot" if what == "of another run" else b"")
    following = start()
    following.take_back()
    following.take_back()
    assert following.outbox.due(NOW) == []
    assert following.outbox.due(SOON) == [PROCESS]


def test_who_closed_its_stores_keeps_what_may_still_be_on_its_way(start: Start) -> None:
    closed = start()
    closed.outbox.add(outgoing())
    assert closed.outbox.claim(PROCESS, NOW, SOON) is not None
    closed.close()
    following = start()
    following.take_back()
    assert following.outbox.due(NOW) == [], "the process that sends it lives"


def test_the_push_of_a_killed_process_is_free_at_once_and_that_of_a_living_one_is_not(
    start: Start, stores_url: str, alive: Path
) -> None:
    other, flow, pushed = start(), data_flow(), transfer()
    other.flows.add(flow)
    other.transfers.add(pushed)
    with lease_holder(stores_url, alive, flow.pid, pushed.pid) as holder:
        assert holder.leased == [flow.pid, pushed.pid]
        held = other.flows.get(flow.pid), other.transfers.get(pushed.pid)
        other.take_back()
        assert (other.flows.get(flow.pid), other.transfers.get(pushed.pid)) == held
        holder.kill()
    following = start()
    following.take_back()
    free = following.flows.get(flow.pid)
    assert free == replace(held[0], pushing=None, pusher=None, version=held[0].version + 1)
    idle = following.transfers.get(pushed.pid)
    assert idle == replace(held[1], pushing=None, pusher=None, version=held[1].version + 1)


def test_while_the_database_takes_nothing_the_dead_are_not_forgotten(
    start: Start, stores_url: str, alive: Path, not_stored: Fail
) -> None:
    other = start()
    other.outbox.add(outgoing())
    with lease_holder(stores_url, alive, PROCESS) as holder:
        holder.kill()
    with not_stored(other), pytest.raises(StorageUnavailable):
        other.take_back()
    assert other.outbox.due(NOW) == []
    other.take_back()
    assert other.outbox.due(NOW) == [PROCESS]


def test_where_nobody_can_show_that_it_lives_the_stores_do_not_open(stores_url: str, tmp_path: Path) -> None:
    taken = tmp_path / "alive"
    taken.write_text("a file where the folder belongs")
    with pytest.raises(StorageUnavailable, match=f"cannot show in {taken} that we live: File exists"):
        SqlStores(stores_url, alive=taken)


def test_more_dead_processes_than_one_statement_can_name_are_taken_back_from(
    start: Start, stores_url: str, alive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start()
    other.outbox.add(outgoing())
    with lease_holder(stores_url, alive, PROCESS) as holder:
        holder.kill()
    see = alive_files.SignOfLife.dead
    more = {f"{number:032x}" for number in range(70_000)}
    monkeypatch.setattr(alive_files.SignOfLife, "dead", lambda sign: see(sign) | more)
    other.take_back()
    assert other.outbox.due(NOW) == [PROCESS]
    assert len(list(alive.iterdir())) == 1


def test_a_folder_that_lets_nothing_be_removed_says_so_and_loses_nothing(
    start: Start, stores_url: str, alive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start()
    other.outbox.add(outgoing())
    with lease_holder(stores_url, alive, PROCESS) as holder:
        holder.kill()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        with pytest.raises(StorageUnavailable, match=f"cannot forget in {alive} who has died: Read-only"):
            other.take_back()
    assert other.outbox.due(NOW) == [PROCESS]
    other.take_back()
    assert len(list(alive.iterdir())) == 1


def test_a_sign_of_life_that_was_tidied_away_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, path = fcntl.flock, tmp_path / "own"
    tidied: list[int] = []

    def late(file: int, how: int) -> None:
        if not tidied:  # somebody found it unlocked and empty
            tidied.append(path.stat().st_ino)
            path.unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    file = alive_files.own_file(path)
    assert os.fstat(file).st_nlink == 1
    assert os.path.sameopenfile(file, os.open(path, os.O_RDONLY))
    os.close(file)
