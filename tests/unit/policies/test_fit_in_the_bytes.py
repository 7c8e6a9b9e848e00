"""What fits releases no row and no cell that the offer would not: against plans carried out row by row.

A cell of the request tells no more than one of the offer if it follows from it: where two rows look the same
under the offer, they look the same under the request.
"""

from __future__ import annotations

from datetime import date
from itertools import combinations
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from policies.compiled import CompiledPolicy, compile_policy
from policies.plan import DataPlan, plan_for
from policies.profile import is_action_within
from policies.subsumption import Fit, covers
from policies.truth import all_hold, applies
from policies.use import Use, UseTotals
from schemas.errors import Refused
from schemas.odrl import Offer
from schemas.vocab import HANSA, ODRL
from tests.naive_plan import _passing, masked
from tests.policy_builders import LAB, NOON, limit, offer, rule

TYPES = {"age": "int64", "pay": "decimal128(10, 2)", "town": "string", "born": "date32[day]"}
ROW = st.fixed_dictionaries(
    {
        "age": st.one_of(st.none(), st.integers(0, 40)),
        "pay": st.one_of(st.none(), st.decimals(0, 30, places=2)),
        "town": st.sampled_from((None, "DE", "FR", "US", "x")),
        "born": st.one_of(st.none(), st.dates(date(2000, 1, 1), date(2000, 12, 31))),
    }
)
FILTERS = st.one_of(
    st.builds(
        lambda operator, value: limit("column/age", operator, value),
        st.sampled_from(("lt", "lteq", "gt", "gteq", "eq", "neq")),
        st.integers(0, 40),
    ),
    st.builds(
        lambda operator, towns: limit("column/town", operator, towns),
        st.sampled_from(("isAnyOf", "isNoneOf")),
        st.lists(st.sampled_from(("DE", "FR", "x")), min_size=1, max_size=2, unique=True),
    ),
    st.sampled_from([limit("rowSpatial/town", "isPartOf", place) for place in ("EU", "DE", "US")]),
)
COLUMNS = st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=4, unique=True)
LIMITS = st.one_of(
    FILTERS,
    st.builds(lambda names: limit("columns", "isAnyOf", names), COLUMNS),
    st.builds(
        lambda names: limit("notTogether", "isAllOf", names),
        st.lists(st.sampled_from(sorted(TYPES)), min_size=2, max_size=3, unique=True),
    ),
    st.builds(
        lambda mask: limit("mask/age", "eq", mask),
        st.sampled_from(("bucket:2", "bucket:3", "bucket:6", "round:-1", "hash", "null")),
    ),
    st.builds(
        lambda mask: limit("mask/pay", "eq", mask),
        st.sampled_from(("bucket:0.5", "bucket:2", "round:0", "round:1", "round:-1", "hash", "null")),
    ),
    st.builds(lambda mask: limit("mask/town", "eq", mask), st.sampled_from(("hash", "null", "redact"))),
    st.builds(
        lambda mask: limit("mask/born", "eq", mask),
        st.sampled_from([f"truncate:{unit}" for unit in ("week", "month", "quarter", "year", "day")]),
    ),
    st.builds(lambda share: limit("odrl:percentage", "lteq", share), st.sampled_from((30, 60))),
)
ANONYMOUS = st.builds(
    lambda k, names: [limit("kAnonymity", "gteq", k), limit("quasiIdentifiers", "isAllOf", names)],
    st.integers(2, 3),
    st.lists(st.sampled_from(("age", "town")), min_size=1, max_size=2, unique=True),
)
PERMISSIONS = st.builds(
    lambda action, limits, anonymous: rule(action, *limits, *anonymous),
    st.sampled_from(("use", "hansa:train")),
    st.lists(LIMITS, max_size=4),
    st.one_of(st.just([]), ANONYMOUS),
)
PROHIBITIONS = st.builds(
    lambda action, filters: rule(action, *filters),
    st.sampled_from(("use", "hansa:train")),
    st.lists(FILTERS, min_size=1, max_size=2),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Offer, Offer]:
    """Draw a request and an offer, of which one often says a little more than the other."""
    wide = draw(st.lists(PERMISSIONS, min_size=1, max_size=2))
    forbidden = draw(st.lists(PROHIBITIONS, max_size=2))
    more = draw(st.lists(LIMITS, max_size=2))

    def varied(one: dict[str, Any]) -> dict[str, Any]:
        """Say it again, or with another value of the same term."""
        other = draw(st.one_of(st.just(one), LIMITS))
        return other if other["leftOperand"] == one["leftOperand"] else one

    narrow = [{**one, "constraint": [*map(varied, one["constraint"]), *more]} for one in wide]
    kept = [draw(st.one_of(st.just(one), PROHIBITIONS)) for one in forbidden]
    return offer(*narrow, prohibition=kept), offer(*wide, prohibition=forbidden)


def read(policy: Offer) -> CompiledPolicy | None:
    try:
        return compile_policy(policy)
    except Refused:
        return None


def plans(policy: CompiledPolicy, use: Use) -> list[DataPlan]:
    """What each permission that holds releases, less what is forbidden."""
    none = UseTotals()
    excluding = tuple(one for one in policy.prohibitions if one.filters and applies(one, use, none, NOON))
    return [
        plan_for((one,), excluding, use.purpose)
        for one in policy.permissions
        if is_action_within(use.action, one.action) and all_hold(one.conditions, use, none, NOON)
    ]


def cell(plan: DataPlan, row: dict[str, Any], name: str) -> tuple[bool, Any]:
    (branch,) = plan.branches
    if not branch.shows(name):
        return False, None
    return True, masked(row[name], branch.mask_of(name), b"key")


def passing(rows: list[dict[str, Any]], plan: DataPlan) -> set[int]:
    return _passing(rows, plan.branches[0], plan, "5a" * 32, lambda subject: True)


def tells_more(rows: list[dict[str, Any]], asked: DataPlan, ours: DataPlan, name: str) -> bool:
    told: dict[Any, Any] = {}
    for row in rows:
        if not cell(asked, row, name)[0]:
            return False
        shown, known = cell(ours, row, name)
        if not shown:
            return True
        if told.setdefault(repr(known), mine := cell(asked, row, name)[1]) != mine:
            return True
    return False


def is_within(rows: list[dict[str, Any]], asked: DataPlan, ours: DataPlan) -> bool:
    if not passing(rows, asked) <= passing(rows, ours):
        return False
    if any(tells_more(rows, asked, ours, name) for name in TYPES):
        return False
    for count in range(2, len(TYPES) + 1):
        for names in combinations(sorted(TYPES), count):
            if (
                ours.whole_set(names)
                and not asked.whole_set(names)
                and set(names) <= set(asked.visible(TYPES))
            ):
                return False
    return True


@given(pairs(), st.lists(ROW, min_size=1, max_size=12), st.sampled_from((ODRL + "use", HANSA + "train")))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_what_fits_releases_no_row_and_no_cell_that_the_offer_would_not(
    pair: tuple[Offer, Offer], rows: list[dict[str, Any]], action: str
) -> None:
    asked, offered = map(read, pair)
    assume(asked is not None and offered is not None)
    assert asked is not None
    assert offered is not None
    for policy in pair:
        assert covers(policy, policy) == Fit()
    fits = covers(*pair) == Fit()
    event(f"fits: {fits}")
    use = Use(LAB, action)
    for plan in plans(asked, use) if fits else ():
        # A row may leave by one permission of the offer and another row by another, but none of them mixed.
        assert any(is_within(rows, plan, ours) for ours in plans(offered, use)), plan
