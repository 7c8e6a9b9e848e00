from __future__ import annotations

from connector.outbox.turns import Turns


def test_who_finds_no_turn_waits_in_line_and_is_called_in_order() -> None:
    turns = Turns(1)
    assert turns.enter("them", "a")
    assert not turns.enter("them", "b")
    assert not turns.enter("them", "c")
    assert turns.enter("others", "d"), "a slow peer holds up its own mail only"
    assert [turns.waits(one) for one in "abcd"] == [False, True, True, False]
    assert turns.leave("them") == "b"
    assert turns.enter("them", "b")
    assert turns.leave("them") == "c"
    assert turns.enter("them", "c")
    assert turns.leave("them") is None


def test_who_was_called_and_had_nothing_to_send_strands_nobody_in_line() -> None:
    turns = Turns(1)
    assert turns.enter("them", "a")
    assert not turns.enter("them", "b")
    assert not turns.enter("them", "c")
    assert turns.leave("them") == "b"
    # b was delivered by another program meanwhile: it takes no turn, and gives none back.
    assert not turns.waits("c")
    assert turns.enter("them", "c")
    assert turns.leave("them") is None
