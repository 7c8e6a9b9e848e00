"""The promises of OutboxStore."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from connector.adapters.sql import SqlStores
from schemas.errors import StorageUnavailable
from tests.contract.conftest import Fail, Open
from tests.store_builders import MINUTE, NOW, negotiation, outgoing

SOON = NOW + MINUTE


def test_a_message_comes_back_as_it_was_saved(stores: SqlStores, open_stores: Open) -> None:
    saved = outgoing(problem="it said \x00", attempts=3)
    stores.outbox.add(saved)
    assert open_stores().outbox.pending() == [replace(saved, problem="it said \N{REPLACEMENT CHARACTER}")]


def test_messages_of_a_process_leave_in_the_order_in_which_they_were_saved(stores: SqlStores) -> None:
    first, second, third = (outgoing() for _ in range(3))
    stores.negotiations.add(negotiation(), outgoing=[first, second])
    stores.outbox.add(third)
    left = []
    while (message := stores.outbox.claim("urn:process:1", NOW, SOON)) is not None:
        left.append(message)
        stores.outbox.sent(message.id)
    assert left == [first, second, third]


def test_a_later_message_waits_for_an_older_one_that_is_leased_or_not_due(stores: SqlStores) -> None:
    first, second = outgoing(), outgoing()
    stores.outbox.add(first)
    stores.outbox.add(second)
    assert stores.outbox.claim("urn:process:1", NOW, SOON) == first
    assert stores.outbox.claim("urn:process:1", NOW, SOON) is None
    stores.outbox.postpone(first.id, NOW + 5 * MINUTE, "peer is down")
    assert stores.outbox.claim("urn:process:1", NOW + MINUTE, SOON) is None
    assert stores.outbox.due(NOW + MINUTE) == []


def test_a_try_can_be_brought_forward_but_not_put_off_nor_taken_from_who_is_at_it(stores: SqlStores) -> None:
    message = outgoing()
    stores.outbox.add(message)
    stores.outbox.hasten(message.id, NOW + MINUTE)
    assert stores.outbox.claim("urn:process:1", NOW, SOON) == message
    stores.outbox.hasten(message.id, NOW - MINUTE)
    assert stores.outbox.due(NOW) == []
    assert [one.due for one in stores.outbox.pending()] == [message.due]
    stores.outbox.postpone(message.id, NOW + 5 * MINUTE, "nobody there")
    stores.outbox.hasten(message.id, NOW + MINUTE)
    assert (stores.outbox.due(NOW), stores.outbox.due(NOW + MINUTE)) == ([], ["urn:process:1"])
    stores.outbox.sent(message.id)
    stores.outbox.hasten(message.id, NOW)
    assert stores.outbox.pending() == []


def test_a_lease_ends_by_itself_when_its_holder_died(stores: SqlStores, open_stores: Open) -> None:
    message = outgoing()
    stores.outbox.add(message)
    assert stores.outbox.claim("urn:process:1", NOW, SOON) == message
    again = open_stores()
    assert again.outbox.due(NOW) == []
    assert again.outbox.due(SOON) == ["urn:process:1"]
    assert again.outbox.claim("urn:process:1", SOON, SOON + MINUTE) == message


def test_a_message_is_never_leased_twice_at_a_time(open_stores: Open) -> None:
    both = (open_stores(), open_stores())
    for process in range(8):
        both[0].outbox.add(outgoing(f"urn:process:{process}"))
    claimed: list[str] = []

    def claim(stores: SqlStores) -> None:
        for process in range(8):
            message = stores.outbox.claim(f"urn:process:{process}", NOW, SOON)
            if message is not None:
                claimed.append(message.id)

    threads = [threading.Thread(target=claim, args=(both[at % 2],)) for at in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 8


def test_due_names_each_process_once_longest_waiting_first(stores: SqlStores) -> None:
    stores.outbox.add(outgoing("urn:process:late", due=NOW))
    stores.outbox.add(outgoing("urn:process:early", due=NOW - MINUTE))
    stores.outbox.add(outgoing("urn:process:early", due=NOW))
    stores.outbox.add(outgoing("urn:process:future", due=NOW + MINUTE))
    assert stores.outbox.due(NOW) == ["urn:process:early", "urn:process:late"]
    assert stores.outbox.due(NOW, most=1) == ["urn:process:early"]


def test_postponing_counts_the_attempt_and_tells_the_problem(stores: SqlStores) -> None:
    message = outgoing()
    stores.outbox.add(message)
    stores.outbox.claim("urn:process:1", NOW, SOON)
    stores.outbox.postpone(message.id, SOON, "peer answered 503")
    (waiting,) = stores.outbox.pending("urn:process:1")
    assert (waiting.attempts, waiting.problem, waiting.due) == (1, "peer answered 503", SOON)
    assert stores.outbox.claim("urn:process:1", SOON, SOON + MINUTE) == waiting


def test_a_released_message_can_be_claimed_at_once_and_no_attempt_is_counted(stores: SqlStores) -> None:
    message = outgoing()
    stores.outbox.add(message)
    stores.outbox.claim("urn:process:1", NOW, SOON)
    assert stores.outbox.claim("urn:process:1", NOW, SOON) is None
    stores.outbox.release(message.id)
    assert stores.outbox.claim("urn:process:1", NOW, SOON) == message


def test_what_was_sent_is_gone_and_sending_it_again_changes_nothing(stores: SqlStores) -> None:
    message = outgoing()
    stores.outbox.add(message)
    for _ in range(2):
        stores.outbox.sent(message.id)
    assert stores.outbox.pending() == []


def test_a_message_that_waits_already_is_not_doubled(stores: SqlStores) -> None:
    message = outgoing()
    stores.outbox.add(message)
    stores.outbox.add(message)
    assert stores.outbox.pending() == [message]


def test_pending_shows_one_process_or_all_oldest_first(stores: SqlStores) -> None:
    one, other = outgoing("urn:process:b"), outgoing("urn:process:a")
    stores.outbox.add(one)
    stores.outbox.add(other)
    assert stores.outbox.pending() == [one, other]
    assert stores.outbox.pending("urn:process:a") == [other]


def test_a_write_that_failed_can_be_repeated_without_doubling_anything(
    stores: SqlStores, failing_write: Fail
) -> None:
    message = outgoing()
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.outbox.add(message)
    stores.outbox.add(message)
    assert stores.outbox.pending() == [message]
    with failing_write(stores), pytest.raises(StorageUnavailable):
        stores.outbox.sent(message.id)
    stores.outbox.sent(message.id)
    assert stores.outbox.pending() == []


def test_a_question_that_nobody_answers_holds_up_nothing_that_has_to_be_said(stores: SqlStores) -> None:
    question, word = outgoing(method="GET"), outgoing()
    stores.outbox.add(question)
    assert stores.outbox.claim("urn:process:1", NOW, SOON) == question
    stores.outbox.postpone(question.id, NOW + 5 * MINUTE, "answered 500")
    stores.outbox.add(word)
    assert stores.outbox.due(NOW) == ["urn:process:1"]
    assert stores.outbox.claim("urn:process:1", NOW, SOON) == word
    assert stores.outbox.claim("urn:process:1", NOW, SOON) is None
    stores.outbox.sent(word.id)
    assert stores.outbox.due(NOW) == []
    assert stores.outbox.due(NOW + 5 * MINUTE) == ["urn:process:1"]
