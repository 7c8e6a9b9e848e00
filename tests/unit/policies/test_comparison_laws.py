"""What comparison says of policies holds for what is decided by them: laws of diff and of conflicts."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from policies.changes import Change, Kind
from policies.compiled import compile_policy
from policies.decision import Permit, decide
from policies.subsumption import conflicts, diff
from policies.use import Use, UseTotals
from schemas.odrl import Offer
from tests.policy_builders import NOON
from tests.unit.policies.test_fit import AGREED, OFFERS, PAIRS, USES, is_read

ASKED = st.lists(st.tuples(USES, AGREED, st.integers(-2, 2)), min_size=8, max_size=8)
TURNED = {
    Kind.WIDENED: Kind.NARROWED,
    Kind.NARROWED: Kind.WIDENED,
    Kind.ADDED: Kind.REMOVED,
    Kind.REMOVED: Kind.ADDED,
}


def allows_no_more(change: Change) -> bool:
    """Say whether a change leaves everything forbidden that was."""
    place = change.new or change.old or ""
    harmless = {Kind.EQUAL, Kind.NARROWED, Kind.REMOVED if place.startswith("permission") else Kind.ADDED}
    return change.kind in harmless


@given(PAIRS, ASKED)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_only_narrows_permits_nothing_that_was_denied(
    pair: tuple[Offer, Offer], asked: list[tuple[Use, UseTotals, int]]
) -> None:
    old, new = pair
    assume(is_read(old) and is_read(new))
    narrows = all(allows_no_more(change) for change in diff(old, new))
    event(f"narrows: {narrows}")
    before, after = compile_policy(old), compile_policy(new)
    for use, totals, hours in asked if narrows else ():
        at = NOON + timedelta(hours=6 * hours)
        if isinstance(decide(after, use, totals, at), Permit):
            assert isinstance(decide(before, use, totals, at), Permit), (use, totals, at)


@given(PAIRS)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_difference_read_backwards_is_its_opposite(pair: tuple[Offer, Offer]) -> None:
    old, new = pair
    assume(is_read(old) and is_read(new))
    assert {change.kind for change in diff(old, old)} <= {Kind.EQUAL}
    there, back = ({(c.old, c.new, c.kind) for c in diff(*each)} for each in ((old, new), (new, old)))
    if {(one, other) for one, other, _ in there} == {(other, one) for one, other, _ in back}:
        assert there == {(other, one, TURNED.get(kind, kind)) for one, other, kind in back}


@given(OFFERS, ASKED)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_permission_that_is_said_to_clash_never_permits(
    policy: Offer, asked: list[tuple[Use, UseTotals, int]]
) -> None:
    assume(is_read(policy))
    clashing = {clash.places[0] for clash in conflicts(policy)}
    event(f"clashes: {bool(clashing)}")
    ours = compile_policy(policy)
    for use, totals, hours in asked:
        found = decide(ours, use, totals, NOON + timedelta(hours=6 * hours))
        if isinstance(found, Permit):
            assert not clashing & {ours.permissions[rule].place for rule in found.rules}


@given(PAIRS, ASKED)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_permissions_of_two_policies_that_clash_never_hold_together(
    pair: tuple[Offer, Offer], asked: list[tuple[Use, UseTotals, int]]
) -> None:
    one, other = pair
    assume(is_read(one) and is_read(other))
    mine, theirs = compile_policy(one), compile_policy(other)
    apart = {clash.places for clash in conflicts(one, other) if clash.places[1].startswith("permission")}
    event(f"clashes: {bool(apart)}")
    for use, totals, hours in asked:
        at = NOON + timedelta(hours=6 * hours)
        first, second = decide(mine, use, totals, at), decide(theirs, use, totals, at)
        if isinstance(first, Permit) and isinstance(second, Permit):
            held = {
                (mine.permissions[a].place, theirs.permissions[b].place)
                for a in first.rules
                for b in second.rules
            }
            assert not held & apart
