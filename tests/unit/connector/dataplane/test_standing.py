"""Why a stream may not go on is told with the reasons of its transfer, in the reader's language."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.dataplane.standing import stop
from connector.transfer.ticket import Ticket
from policies.words.carried import in_words, spoken
from policies.words.language import Language, message
from schemas.dsp.transfer import TransferState
from tests.store_builders import AGREEMENT, NOW, PEER, signed, transfer

TICKET = Ticket("urn:t", AGREEMENT, PEER, "urn:dataset:1", "train", None, 0, NOW + timedelta(hours=1))
OVERDUE = spoken(
    message(
        "end.overdue", action="delete", place="obligation[0]", agreement=AGREEMENT, when="now", command="x"
    )
)


@pytest.mark.parametrize(
    ("reasons", "problem", "german"),
    [
        ((OVERDUE,), None, "ist ausgesetzt: überfällige Verpflichtung: delete (obligation[0])"),
        (("a break",), None, "ist ausgesetzt: a break"),
        ((OVERDUE, "a break"), None, "ist ausgesetzt: obligation overdue: "),
        ((), None, "ist ausgesetzt: no reason was given"),
        (("a break",), "a problem", "ist ausgesetzt: a problem; a break"),
    ],
)
def test_a_suspended_transfer_says_why_as_far_as_it_can_be_put_into_words(
    reasons: tuple[str, ...], problem: str | None, german: str
) -> None:
    held = transfer(state=TransferState.SUSPENDED, reasons=reasons, problem=problem)
    told = stop(held, signed("urn:n", final=True), TICKET, NOW)
    assert told is not None
    kind, why = told
    assert kind == "suspended"
    assert german in in_words(why, Language.DE)
    assert all(reason in why for reason in reasons)
