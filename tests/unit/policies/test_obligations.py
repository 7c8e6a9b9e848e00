from __future__ import annotations

from datetime import UTC, datetime, timedelta

from policies.obligations import due, obligations_of, overdue
from schemas.vocab import ODRL
from tests.policy_builders import compiled, limit, rule

POLICY = compiled(
    rule("use"),
    obligation=[
        rule("odrl:attribute"),
        rule("delete", limit("dateTime", "lteq", "2026-12-31"), limit("dateTime", "lt", "2027-06-01")),
        rule("inform", limit("dateTime", "lt", "2026-12-01T00:00Z")),
    ],
)
END_OF_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def test_of_several_dates_the_earliest_counts_and_without_one_there_is_none() -> None:
    assert [(item.action, item.before) for item in obligations_of(POLICY)] == [
        (ODRL + "attribute", None),
        (ODRL + "delete", END_OF_YEAR),
        (ODRL + "inform", datetime(2026, 12, 1, tzinfo=UTC)),
    ]


def test_an_obligation_is_due_up_to_its_instant_and_overdue_from_it_on() -> None:
    every = obligations_of(POLICY)
    just_before = END_OF_YEAR - timedelta(microseconds=1)
    assert [item.action for item in due(every, datetime(2026, 11, 1, tzinfo=UTC))] == [
        ODRL + "inform",
        ODRL + "delete",
    ]
    assert [item.action for item in due(every, just_before)] == [ODRL + "delete"]
    assert [item.action for item in overdue(every, just_before)] == [ODRL + "inform"]
    assert [item.action for item in overdue(every, END_OF_YEAR)] == [ODRL + "inform", ODRL + "delete"]
    assert due(every, END_OF_YEAR) == ()
