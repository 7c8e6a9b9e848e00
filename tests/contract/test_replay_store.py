"""The promises of ReplayStore."""

from __future__ import annotations

import threading

import pytest

from connector.adapters.sql import SqlStores
from schemas.errors import Malformed, StorageUnavailable
from tests.contract.conftest import Fail, Open
from tests.store_builders import MINUTE, NOW, PEER


def test_a_token_id_is_new_exactly_once_for_each_issuer(stores: SqlStores) -> None:
    assert stores.replay.remember(PEER, "jti-1", NOW + MINUTE)
    assert not stores.replay.remember(PEER, "jti-1", NOW + 5 * MINUTE)
    assert stores.replay.remember("did:web:other.example", "jti-1", NOW + MINUTE)


def test_it_is_new_once_also_from_many_threads_of_two_processes(open_stores: Open) -> None:
    both = (open_stores(), open_stores())
    answers: list[bool] = []

    def ask(stores: SqlStores) -> None:
        answers.append(stores.replay.remember(PEER, "jti-1", NOW + MINUTE))

    threads = [threading.Thread(target=ask, args=(both[at % 2],)) for at in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 15 + [True]


def test_ids_are_remembered_after_a_restart_until_they_expire(stores: SqlStores, open_stores: Open) -> None:
    stores.replay.remember(PEER, "short", NOW + MINUTE)
    stores.replay.remember(PEER, "long", NOW + 10 * MINUTE)
    again = open_stores()
    again.replay.forget_expired(NOW + 2 * MINUTE)
    assert not again.replay.remember(PEER, "long", NOW + 10 * MINUTE)
    assert again.replay.remember(PEER, "short", NOW + MINUTE)


def test_a_token_that_may_have_been_remembered_is_never_new_twice(
    stores: SqlStores, failing_write: Fail
) -> None:
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.replay.remember(PEER, "jti-1", NOW + MINUTE)
    answers = [stores.replay.remember(PEER, "jti-1", NOW + MINUTE) for _ in range(2)]
    assert answers in ([True, False], [False, False])


@pytest.mark.parametrize("hostile", ["a\x00b", "\ud800", "x" * 100_000])
def test_an_id_that_no_database_can_index_is_refused_by_both(stores: SqlStores, hostile: str) -> None:
    with pytest.raises(Malformed):
        stores.replay.remember(PEER, hostile, NOW)
