"""The usage-log suite of OVAL: a policy and a log of events, compliant or not; and policies, valid or not.

The folder of a case says what is expected. A column of a log is an IRI: of the party, action, asset and
time of an event, or of a left operand; `<Action> <operand>` and `<Party> <operand>` give what a refinement
asks for. Neither the cells nor the right operands state their datatypes: both are read by their look.
"""

from __future__ import annotations

import csv
import io
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from policies.odrl.compare import Values
from policies.odrl.history import judge_history
from policies.odrl.literals import read_number, read_time
from policies.odrl.model import Constraint, Iri, Permission, PolicyModel
from policies.odrl.read import Reading, read, read_one
from policies.odrl.read_constraints import Demands
from policies.odrl.world import Behaviour, Event, Request
from schemas.errors import DataspaceError
from tests.interop.odrl.facts import ODRL
from tests.shared_data import SHARED

pytestmark = pytest.mark.interop

SUITE = SHARED / "odrl" / "oval-usage-log"
LOGS = sorted(SUITE.glob("evaluation/*/*.ttl"))
POLICIES = sorted(SUITE.glob("validation/*/*.json*"))
OPEN_TERMS = Demands(terms=False, parties=False)
"""The policies use terms of profiles that nobody published, and offers without an assigner."""
AS_OVAL = Behaviour(offers=True, anyone_performs=True, profiles=None)

if not LOGS:
    pytest.skip(f"shared data is absent: {SUITE} holds no evaluation", allow_module_level=True)


def typed(cell: str) -> Values:
    """Read a cell by its look: a number, an instant, an IRI, else a text."""
    if not cell:
        return ()
    number = read_number(cell)
    moment = read_time(cell, lambda _: None)
    if number is not None or moment is not None:
        return (number if moment is None else moment,)  # type: ignore[return-value]
    return (Iri(cell),) if cell.startswith(("http://", "https://", "urn:")) else (cell,)


def by_look(item: Any) -> Any:
    """The same policy with each right operand that is a text read by its look."""
    if isinstance(item, Constraint):
        values: Any = tuple(
            typed(value)[0] if isinstance(value, str) and value else value for value in item.values
        )
        return replace(item, values=values)
    if isinstance(item, tuple):
        return tuple(by_look(part) for part in item)
    if is_dataclass(item) and not isinstance(item, type):
        return replace(item, **{one.name: by_look(getattr(item, one.name)) for one in fields(item)})
    return item


def policy_of(path: Path) -> PolicyModel:
    read_as: PolicyModel = by_look(read_one(path.read_bytes(), demands=OPEN_TERMS))
    return read_as


def read_event(row: dict[str, str]) -> Event:
    at = read_time(row[ODRL + "dateTime"], lambda _: None)
    assert at is not None, row
    facts: dict[str, dict[str, Values]] = {"": {}, "Action": {}, "Party": {}, "Asset": {}}
    for column, cell in row.items():
        place, gap, operand = column.rpartition(" ")
        if cell:
            facts[place.removeprefix(ODRL) if gap else ""][operand] = typed(cell)
    return Event(
        at,
        Request(
            action=row.get(ODRL + "Action") or None,
            target=row.get(ODRL + "Asset") or None,
            assignee=row.get(ODRL + "Party") or None,
            values=facts[""],
            action_values=facts["Action"],
            party_values=facts["Party"],
            target_values=facts["Asset"],
        ),
    )


def read_log(path: Path) -> list[Event]:
    text = path.read_text(encoding="utf-8-sig")
    return [read_event(row) for row in csv.DictReader(io.StringIO(text))]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_log_keeps_to_its_policy_exactly_where_the_suite_says_so(path: Path) -> None:
    policy = policy_of(path)
    report = judge_history(policy, read_log(path.with_suffix(".csv")), behaviour=AS_OVAL)
    assert report.valid == (path.parent.name == "valid"), (path.with_suffix(".txt").read_text(), report)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_order_of_the_lines_of_a_log_means_nothing(path: Path) -> None:
    policy = policy_of(path)
    log = read_log(path.with_suffix(".csv"))
    there, back = (judge_history(policy, events, behaviour=AS_OVAL) for events in (log, log[::-1]))
    assert there.valid == back.valid


@pytest.mark.parametrize(
    "path", [path for path in LOGS if path.parent.name == "invalid"], ids=lambda path: path.stem
)
def test_what_the_suite_forbids_is_not_allowed_in_the_default_either(path: Path) -> None:
    policy = policy_of(path)
    behaviour = replace(AS_OVAL, anyone_performs=False)
    assert not judge_history(policy, read_log(path.with_suffix(".csv")), behaviour=behaviour).valid


# --- validation --------------------------------------------------------------------------------------


def atomic(policy: PolicyModel) -> set[tuple[str | None, ...]]:
    rules: tuple[Permission, ...] = policy.permissions
    return {(r.action.iri, r.target.iri, r.assigner.iri, r.assignee.iri) for r in rules}


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_policy_is_read_or_refused_as_its_folder_says(path: Path) -> None:
    demands = Demands(terms=False)
    if path.parent.name.startswith("invalid"):
        with pytest.raises(DataspaceError) as refused:
            read(path.read_bytes(), demands=demands)
        assert "permission[0]" in str(refused.value)
        return
    reading: Reading = read(path.read_bytes(), demands=demands)
    assert reading.policies
    for policy in reading.policies:
        assert policy.permissions or policy.prohibitions or policy.obligations


@pytest.mark.parametrize(
    "path",
    [path for path in POLICIES if "comp" in path.parent.name],
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_a_policy_in_short_form_becomes_atomic_rules(path: Path) -> None:
    policy = read_one(path.read_bytes(), demands=Demands(terms=False))
    assert len(policy.permissions) > 1
    assert len(atomic(policy)) == len(policy.permissions)
    assert all(rule.action.iri and rule.target.iri for rule in policy.permissions)


def test_no_time_of_a_log_is_read_in_local_time() -> None:
    (at,) = typed("2026-01-11T11:43:10.665638")
    assert at == datetime(2026, 1, 11, 11, 43, 10, 665638, tzinfo=UTC)
