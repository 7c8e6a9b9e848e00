"""One policy for each type of term in our profile, in the form that travels: what every door must carry."""

from __future__ import annotations

from typing import Any

from schemas.dcat import Column
from schemas.vocab import CC, HANSA, HANSA_PROFILE, ODRL, XSD
from tests.policy_builders import limit, rule

EPOCH = {"@id": HANSA + "epoch"}

COLUMNS = (
    Column(name="name", datatype="string"),
    Column(name="age", datatype="int64"),
    Column(name="income", datatype="double"),
    Column(name="born", datatype="date32[day]"),
    Column(name="country", datatype="string"),
    Column(name="patient", datatype="string"),
)
"""Data on which each of these policies can be kept."""


def _permitting(*constraints: dict[str, Any], action: str = "use") -> dict[str, Any]:
    return {"permission": [rule(action, *constraints)]}


def _owing(action: str, *constraints: dict[str, Any]) -> dict[str, Any]:
    return {"permission": [rule("use")], "obligation": [rule(action, *constraints)]}


SAMPLES: dict[str, dict[str, Any]] = {
    "time window": _permitting(
        limit("odrl:dateTime", "gteq", "2026-01-01T00:00:00Z"),
        limit("odrl:dateTime", "lt", "2027-01-01T00:00:00Z"),
    ),
    "relative duration": _permitting(
        limit("odrl:elapsedTime", "lteq", "P1M"), limit("elapsedSinceDelivery", "lteq", "P7D")
    ),
    "recurring window": _permitting(
        limit("dayOfWeek", "isAnyOf", ["Monday", "Tuesday"]),
        limit("timeOfDay", "isAnyOf", ["08:00-18:00", "22:00-02:00"]),
        limit("timeZone", "eq", "Europe/Berlin"),
    ),
    "purpose": _permitting(limit("odrl:purpose", "isA", "https://w3id.org/dpv#ScientificResearch")),
    "party": _permitting(
        limit("participantGroup", "isPartOf", "https://space.example/groups/hospitals"),
        limit("credential/certified%20by", "isAnyOf", ["TÜV", "BSI"]),
    ),
    "jurisdiction": _permitting(limit("odrl:spatial", "isPartOf", ["EU", "CH"])),
    "counts": _permitting(
        {
            "and": [
                limit("odrl:count", "lteq", "5"),
                limit("odrl:unitOfCount", "eq", EPOCH),
            ]
        },
        limit("odrl:count", "lt", "10"),
    ),
    "volume": _permitting(limit("rowCount", "lteq", "1000"), limit("byteCount", "lteq", "1000000")),
    "rate": _permitting(limit("rate", "lteq", "10000/PT1M")),
    "row filter": _permitting(limit("column/age", "gteq", {"@value": "18", "@type": XSD + "integer"})),
    "area filter": _permitting(limit("rowSpatial/country", "isPartOf", "EU")),
    "columns": _permitting(limit("columns", "isAnyOf", ["name", "age"])),
    "masks": _permitting(
        limit("mask/name", "eq", "redact"),
        limit("mask/age", "eq", "bucket:10"),
        limit("mask/born", "eq", "truncate:month"),
        limit("mask/income", "eq", "round:-3"),
        limit("mask/patient", "eq", "hash"),
        limit("mask/country", "eq", "null"),
    ),
    "not together": _permitting(limit("notTogether", "isAllOf", ["name", "born"])),
    "sampling": _permitting(limit("odrl:percentage", "lteq", "12.5")),
    "k-anonymity": _permitting(
        limit("kAnonymity", "gteq", "5"), limit("quasiIdentifiers", "isAllOf", ["age", "country"])
    ),
    "aggregate only": _permitting(
        limit("aggregateOnly", "eq", "true"),
        limit("minGroupSize", "gteq", "20"),
        limit("subject", "eq", "patient"),
    ),
    "consent": _permitting(limit("consent/patient", "eq", "given")),
    "environment": _permitting(limit("environment", "isAnyOf", ["secure-processing-environment"])),
    "actions for AI": {
        "permission": [rule(HANSA + "train"), rule(HANSA + "rag")],
        "prohibition": [rule(HANSA + "trainGenerative")],
    },
    "no redistribution": {
        "permission": [rule("use")],
        "prohibition": [rule(ODRL + "distribute")],
        "obligation": [rule(ODRL + "nextPolicy")],
    },
    "delete after": _owing(ODRL + "delete", limit("odrl:delayPeriod", "lteq", "P30D")),
    "inform and attribute": {
        "permission": [rule("use")],
        "obligation": [
            rule(ODRL + "inform", limit("odrl:timeInterval", "eq", "P30D")),
            rule(CC + "Attribution"),
        ],
    },
    "revocability": {
        "permission": [rule("use", limit("revocable", "eq", "true"), limit("notice", "eq", "P14D"))],
        "obligation": [
            rule(
                ODRL + "delete",
                limit("odrl:dateTime", "lt", "2027-06-01T00:00:00Z"),
                limit("consequence", "eq", "terminate"),
            )
        ],
    },
}
"""By the name of the type: the members of a policy that uses it."""


def absolute(value: Any) -> Any:
    """Return a policy with its left operands and actions as absolute IRIs, as they must travel."""
    if isinstance(value, list):
        return [absolute(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: absolute(item) for key, item in value.items()}
    if str(changed.get("leftOperand", "")).startswith("odrl:"):
        changed["leftOperand"] = ODRL + changed["leftOperand"].removeprefix("odrl:")
    return changed


def sample(name: str) -> dict[str, Any]:
    """One policy as an offer in compact form, without a context."""
    return {
        "@id": "urn:offer:" + name.replace(" ", "-"),
        "@type": "Offer",
        "profile": [HANSA_PROFILE],
        **absolute(SAMPLES[name]),
    }
