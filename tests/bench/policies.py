"""How long a policy takes: to be read and made ready, and to decide by; medians beside their limits.

The limits are of a decision by ten constraints (20 µs), of reading and preparing such a policy (15 ms), and
of a decision by the 787 constraints of the largest policy of the public suites (50 ms).
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from policies.compiled import compile_policy
from policies.decision import decide as decide_use
from policies.odrl.dsp import read_offer
from policies.odrl.evaluate import decide, evaluate, prepare
from policies.odrl.model import Iri, Value
from policies.odrl.read import read_one
from policies.odrl.read_constraints import LENIENT
from policies.odrl.world import Request, World
from policies.use import Use, UseTotals
from schemas.odrl import Offer
from schemas.vocab import DPV, HANSA, HANSA_PROFILE, ODRL
from tests.shared_data import SHARED

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
LARGEST = SHARED / "odrl" / "force-test-suite" / "policies"
CONTEXT = "http://www.w3.org/ns/odrl.jsonld"

TEN = (
    ("dateTime", "gteq", {"@value": "2026-01-01T00:00:00Z", "@type": "xsd:dateTime"}),
    ("dateTime", "lt", {"@value": "2027-01-01", "@type": "xsd:date"}),
    ("count", "lteq", 5),
    ("purpose", "isAnyOf", [{"@id": "urn:ex:a"}, {"@id": "urn:ex:b"}]),
    ("language", "eq", "en"),
    ("recipient", "isAnyOf", [{"@id": "urn:ex:r1"}, {"@id": "urn:ex:r2"}, {"@id": "urn:ex:r3"}]),
    ("industry", "neq", {"@id": "urn:ex:war"}),
    ("version", "eq", "1"),
    ("percentage", "lteq", 50),
    ("media", "isNoneOf", ["paper", "film"]),
)
FACTS: dict[str, Value] = {
    "count": 3,
    "purpose": Iri("urn:ex:b"),
    "language": "en",
    "recipient": Iri("urn:ex:r2"),
    "industry": Iri("urn:ex:care"),
    "version": "1",
    "percentage": 20,
    "media": "screen",
}
OURS = (
    ("odrl:dateTime", "gteq", "2026-01-01T00:00:00Z"),
    ("odrl:dateTime", "lt", "2027-01-01T00:00:00Z"),
    ("odrl:purpose", "isA", DPV + "ResearchAndDevelopment"),
    ("odrl:purpose", "isNoneOf", [DPV + "CommercialPurpose"]),
    (HANSA + "participant", "isAnyOf", ["did:web:lab.example", "did:web:other.example"]),
    (HANSA + "column/age", "gteq", 18),
    (HANSA + "column/region", "isAnyOf", ["north", "south"]),
    (HANSA + "columns", "isAnyOf", ["age", "region", "name"]),
    (HANSA + "mask/name", "eq", "hash"),
    (HANSA + "rowCount", "lteq", 1_000_000),
)

RECURRING = (
    (HANSA + "dayOfWeek", "isAnyOf", ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]),
    (HANSA + "timeOfDay", "isAnyOf", ["08:00-18:00"]),
    (HANSA + "timeZone", "eq", "Europe/Berlin"),
    ("odrl:elapsedTime", "lteq", "P1M"),
    *OURS[2:8],
)


def median(work: Callable[[], object], times: int) -> float:
    """Seconds that it takes, the median of so many times."""
    work()
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def said(limits: tuple[tuple[str, str, object], ...]) -> list[dict[str, object]]:
    return [{"leftOperand": left, "operator": verb, "rightOperand": right} for left, verb, right in limits]


def general() -> str:
    rule = {"action": "use", "target": "urn:ex:t", "assignee": "urn:ex:me", "constraint": said(TEN)}
    return json.dumps({"@context": CONTEXT, "@type": "Set", "uid": "urn:ex:p", "permission": rule})


def ours(limits: tuple[tuple[str, str, object], ...] = OURS) -> dict[str, object]:
    permission = {"action": HANSA + "train", "constraint": said(limits)}
    return {"@type": "Offer", "@id": "urn:ex:o", "profile": [HANSA_PROFILE], "permission": [permission]}


def line(name: str, seconds: float, unit: str, limit: float | None) -> None:
    shown = seconds * {"µs": 1e6, "ms": 1e3}[unit]
    bound = f"{limit:>6g} {unit}" if limit is not None else ""
    sys.stdout.write(f"  {name:<58}{shown:>9.2f} {unit}   {bound}\n")


def of_the_general_engine() -> None:
    document = general()
    ready = prepare(read_one(document))
    values = {ODRL + name: (value,) for name, value in FACTS.items()}
    request = Request(ODRL + "read", "urn:ex:t", "urn:ex:me", values=values)
    world = World(now=NOON)
    line("ODRL, ten constraints: decide", median(lambda: decide(ready, request, world), 5000), "µs", 20)
    line(
        "ODRL, ten constraints: evaluate, with the report",
        median(lambda: evaluate(ready, request, world), 2000),
        "µs",
        None,
    )
    line(
        "ODRL, ten constraints: read JSON-LD and prepare",
        median(lambda: prepare(read_one(document)), 50),
        "ms",
        15,
    )


def of_the_largest() -> None:
    files = sorted(LARGEST.glob("*.ttl"), key=lambda path: path.stat().st_size)
    if not files:
        sys.stdout.write(f"  the largest policy of the suites: absent, {LARGEST} does not exist\n")
        return
    document = files[-1].read_bytes()
    ready = prepare(read_one(document, demands=LENIENT))
    request = Request(ODRL + "read", "http://example.org/x", "http://example.org/alice")
    world = World(now=NOON)
    line("ODRL, 787 constraints: decide", median(lambda: decide(ready, request, world), 200), "ms", 50)
    line(
        "ODRL, 787 constraints: evaluate, with the report",
        median(lambda: evaluate(ready, request, world), 50),
        "ms",
        50,
    )
    line(
        "ODRL, 787 constraints: read Turtle and prepare",
        median(lambda: prepare(read_one(document, demands=LENIENT)), 10),
        "ms",
        None,
    )


def of_the_profile() -> None:
    offer = Offer.model_validate(ours())
    policy = compile_policy(offer)
    use = Use("did:web:lab.example", HANSA + "train", DPV + "AcademicResearch")
    totals = UseTotals(rows=10)
    document = json.dumps({"@context": CONTEXT, **ours()})
    line(
        "our profile, ten constraints: decide",
        median(lambda: decide_use(policy, use, totals, NOON), 5000),
        "µs",
        20,
    )
    windows = compile_policy(Offer.model_validate(ours(RECURRING)))
    line(
        "our profile, ten constraints, four of recurring time: decide",
        median(lambda: decide_use(windows, use, totals, NOON), 5000),
        "µs",
        20,
    )
    line("our profile, ten constraints: compile", median(lambda: compile_policy(offer), 200), "ms", 15)
    line(
        "our profile, ten constraints: read JSON-LD and compile",
        median(lambda: compile_policy(read_offer(document)), 50),
        "ms",
        15,
    )


def run() -> None:
    """Print each measurement beside its limit."""
    sys.stdout.write(f"  {'':<58}{'median':>12}   {'limit':>9}\n")
    of_the_general_engine()
    of_the_largest()
    of_the_profile()
