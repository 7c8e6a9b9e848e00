"""The published benchmark of policy conflicts: every case that asks about two policies, or about a request.

A case is read from its row and from its own file: the policies from the Turtle, the request or the execution
from its comment. What the benchmark takes for granted is said here, once, as the knowledge of the comparison.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from policies.algebra.hierarchy import Poset
from policies.algebra.regions import Interval, Intervals
from policies.kinds.purposes import NARROWER
from policies.odrl.extents import LANGUAGES, ODRL, ODRL_FACTS, Knowledge, constraints_in
from policies.odrl.model import Condition, Constraint, PolicyModel, Value
from policies.odrl.read import read
from policies.odrl.read_constraints import LENIENT
from policies.odrl.relate import Permitted, conflict, permits, refines
from tests.shared_data import shared_data

pytestmark = pytest.mark.interop

ROOT = shared_data("odrl", "conflict-benchmark")
USED = ("pair", "kb-pair", "kb", "runtime")
OUT_OF_SCOPE: dict[str, str] = {}
"""Cases that we do not decide as the benchmark does, and why; there is none."""

DPV, PLACES, AXIS = "https://w3id.org/dpv#", "https://sws.geonames.org/", "http://w3id.org/odrl/spatial-axis#"
EUROPE, FRANCE, GERMANY = f"{PLACES}6255148/", f"{PLACES}3017382/", f"{PLACES}2921044/"
PARTS = {
    EUROPE: (FRANCE, GERMANY),
    GERMANY: (f"{PLACES}2951839/",),  # Bavaria
    f"{PLACES}2951839/": (f"{PLACES}2867714/",),  # Munich
    FRANCE: (f"{PLACES}3012874/",),  # Île-de-France
}
"""Its extract of GeoNames: what is a part of what. It does not place Strasbourg."""
SIZES = ("absoluteSizeWidth", "absoluteSizeHeight", "absoluteSizeDepth")
KNOWN = Knowledge(
    hierarchies={
        f"{ODRL}language": LANGUAGES,
        f"{ODRL}purpose": Poset(
            {DPV + wide: tuple(DPV + one for one in under) for wide, under in NARROWER.items()}
        ),
        f"{ODRL}spatial": Poset(PARTS, apart=((FRANCE, GERMANY),)),
    },
    facts=replace(
        ODRL_FACTS,
        domains={
            **ODRL_FACTS.domains,
            **{AXIS + name: Intervals((Interval(low=Decimal(0)),)) for name in SIZES},
        },
    ),
)
"""DPV leaves open what is apart, of places two countries are; languages are; sizes are not negative."""


def rows() -> list[dict[str, str]]:
    if not (ROOT / "labels.csv").exists():
        return []
    with (ROOT / "labels.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["use"] in USED]


def text_of(row: dict[str, str]) -> str:
    """Return the Turtle of a case; a few files escape characters of their prefixes that need none."""
    text = (ROOT / row["policy_file"]).read_text(encoding="utf-8")
    return re.sub(r"\\([#>])", r"\1", text)


def policies_of(text: str) -> tuple[PolicyModel, ...]:
    """Read the policies; where a period states its anchor, both become one repeating interval of ISO 8601."""
    anchored = re.compile(
        r'"(P[^"]+)"\^\^xsd:duration\s*;\s*drk:anchor\s+"([^"]+)"\^\^xsd:date(?:Time)?\b', re.ASCII
    )
    return read(anchored.sub(r'"R/\2/\1"', text), "text/turtle", LENIENT).policies


def request_of(text: str, policies: Iterable[PolicyModel]) -> dict[str, Value] | None:
    """Return what the comment says of a request, or of an execution in days; None where it says neither."""
    operands = {c.operand for policy in policies for c in _constraints(policy)}
    if found := re.search(r"^#\s*request rho:(.*)$", text, re.MULTILINE):
        said: dict[str, Value] = {}
        for name, value in re.findall(r"(\w+)\s*=\s*(-?[\d.]+)", found[1]):
            (operand,) = (one for one in operands if one.lower().endswith(name.lower()))
            said[operand] = Decimal(value)
        return said
    if found := re.search(r"^#\s*Ground execution:(.*)$", text, re.MULTILINE):
        return _execution(found[1])
    return None


def _execution(said: str) -> dict[str, Value]:
    at = {name: int(value) for name, value in re.findall(r"\b(start|now|trig)\s*=\s*(\d+)", said)}
    segments = [(int(start), int(end)) for start, end in re.findall(r"\[(\d+),\s*(\d+)\]", said)]
    days: dict[str, int] = {}
    if {"start", "now"} <= at.keys():
        days["elapsedTime"] = at["now"] - at["start"]
    if {"trig", "now"} <= at.keys():
        days["delayPeriod"] = at["now"] - at["trig"]
    if segments:
        days["meteredTime"] = sum(end - start for start, end in segments)
    return {ODRL + name: timedelta(days=count) for name, count in days.items()}


def _constraints(policy: PolicyModel) -> Iterable[Constraint]:
    conditions: list[Condition] = [c for rule in policy.permissions for c in rule.constraints]
    return constraints_in(conditions)


def decided(row: dict[str, str]) -> tuple[str, Any]:
    """Decide a case; return the verdict in the benchmark's words, and the answer that it comes from."""
    text = text_of(row)
    policies = policies_of(text)
    assert len(policies) == int(row["n_policies"]), policies
    if row["use"] == "runtime" and (request := request_of(text, policies)) is not None:
        answers = [permits(policy, request, KNOWN) for policy in policies]
        may = all(isinstance(answer, Permitted) for answer in answers)
        words = ("Permit", "Deny") if "request rho" in text else ("Compatible", "Conflict")
        return words[0] if may else words[1], answers
    one, other = policies
    if row["relation"] in ("subsumption", "refinement"):
        answer: Any = refines(one, other, KNOWN)
        name = type(answer).__name__
        # What one calls a refinement, the other family calls compatible.
        words_of = (
            {"Refines": "Compatible", "NotRefines": "Conflict"} if row["relation"] == "subsumption" else {}
        )
        return words_of.get(name, name), answer
    # Asked for a verdict, what only one party limits is unknown; asked for a conflict, it is free.
    known = replace(KNOWN, silent_is_unknown=row["relation"] == "verdict")
    answer = conflict(one, other, known)
    return type(answer).__name__, answer


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["problem"])
def test_a_benchmark_case_is_decided_as_its_provers_agreed(row: dict[str, str]) -> None:
    if row["problem"] in OUT_OF_SCOPE:
        pytest.skip(OUT_OF_SCOPE[row["problem"]])
    verdict, answer = decided(row)
    assert verdict == row["verdict"], (row["statement"], answer)


def test_a_silent_party_makes_a_verdict_unknown_but_never_hides_a_conflict() -> None:
    with (ROOT / "labels.csv").open(encoding="utf-8", newline="") as file:
        asked = [
            row for row in csv.DictReader(file) if row["relation"] == "verdict" and row["n_policies"] == "2"
        ]
    assert {row["verdict"] for row in asked} == {"Compatible", "Conflict", "Unknown"}
    assert [decided(row)[0] for row in asked] == [row["verdict"] for row in asked]


def test_files_with_escaped_prefixes_are_read_too() -> None:
    escaped = [path for path in sorted(ROOT.glob("*/Policies/*.ttl")) if "\\" in path.read_text("utf-8")]
    assert escaped
    for path in escaped:
        assert policies_of(text_of({"policy_file": str(path.relative_to(ROOT))}))
