"""Every type of term: what it compiles to, that it travels, and what is refused by name."""

from __future__ import annotations

import json
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft201909Validator
from pyld import jsonld

from policies.compiled import CompiledPolicy, compile_policy
from policies.fitting import fit_to_columns
from policies.kinds.durations import Duration
from policies.kinds.masking import Masking, MaskKind
from policies.profile import Operator
from policies.rules import (
    AggregateOnly,
    ByteLimit,
    ColumnMask,
    ColumnRegion,
    Consent,
    Consequence,
    CountLimit,
    CountUnit,
    CredentialLimit,
    DayLimit,
    DayTimeLimit,
    ElapsedLimit,
    EnvironmentLimit,
    GroupLimit,
    KAnonymity,
    NotTogether,
    RateLimit,
    RegionLimit,
    Revocable,
    RowLimit,
    Sample,
    Since,
)
from policies.subsumption import normal_form
from schemas.errors import Refused
from schemas.jsonld import compact_form
from schemas.odrl import Offer
from schemas.vocab import ODRL
from tests.dsp_schemas import BASE, registry
from tests.policy_builders import limit, rule
from tests.profile_terms import COLUMNS, SAMPLES, absolute, sample
from tests.shared_data import shared_data


def compiled(name: str) -> CompiledPolicy:
    return compile_policy(Offer.read(sample(name)))


def conditions(name: str) -> tuple[Any, ...]:
    return compiled(name).permissions[0].conditions


def limits(name: str) -> tuple[Any, ...]:
    return compiled(name).permissions[0].limits


def refusal(*constraints: dict[str, Any]) -> str:
    offer = Offer.read(absolute({"@id": "urn:o", "permission": [rule("use", *constraints)]}))
    with pytest.raises(Refused) as refused:
        compile_policy(offer)
    return str(refused.value)


def test_times_compile_to_durations_days_and_windows_in_their_zone() -> None:
    place = "permission[0].constraint"
    assert conditions("relative duration") == (
        ElapsedLimit(Operator.LTEQ, Duration(1, timedelta(0)), Since.AGREEMENT, f"{place}[0]"),
        ElapsedLimit(Operator.LTEQ, Duration(0, timedelta(days=7)), Since.DELIVERY, f"{place}[1]"),
    )
    windows = ((time(8), time(18)), (time(22), time(2)))
    assert conditions("recurring window") == (
        DayLimit((0, 1), "Europe/Berlin", f"{place}[0]"),
        DayTimeLimit(windows, "Europe/Berlin", f"{place}[1]"),
    )


def test_who_asks_compiles_to_groups_credentials_regions_and_environments() -> None:
    place = "permission[0].constraint"
    assert conditions("party") == (
        GroupLimit(("https://space.example/groups/hospitals",), f"{place}[0]"),
        CredentialLimit("certified by", ("TÜV", "BSI"), f"{place}[1]"),
    )
    assert conditions("jurisdiction") == (RegionLimit(Operator.IS_PART_OF, ("EU", "CH"), f"{place}[0]"),)
    assert conditions("environment") == (EnvironmentLimit(("secure-processing-environment",), f"{place}[0]"),)


def test_what_is_counted_compiles_to_the_most_that_is_allowed() -> None:
    place = "permission[0].constraint"
    assert limits("counts") == (
        CountLimit(CountUnit.EPOCH, 5, f"{place}[0].and[0]"),
        CountLimit(CountUnit.REQUEST, 9, f"{place}[1]"),
    )
    assert limits("volume") == (RowLimit(1000, f"{place}[0]"), ByteLimit(1_000_000, f"{place}[1]"))
    assert limits("rate") == (RateLimit(10_000, timedelta(minutes=1), f"{place}[0]"),)
    counted = compiled("counts").permissions[0]
    assert (counted.epochs, counted.requests, counted.rows) == (5, 9, None)


def test_limits_on_the_data_compile_to_what_the_plan_keeps() -> None:
    place = "permission[0].constraint"
    assert limits("area filter") == (ColumnRegion("country", ("EU",), f"{place}[0]"),)
    assert limits("masks")[:4] == (
        ColumnMask("name", Masking(MaskKind.REDACT), f"{place}[0]"),
        ColumnMask("age", Masking(MaskKind.BUCKET, Decimal(10)), f"{place}[1]"),
        ColumnMask("born", Masking(MaskKind.TRUNCATE, "month"), f"{place}[2]"),
        ColumnMask("income", Masking(MaskKind.ROUND, Decimal(-3)), f"{place}[3]"),
    )
    assert limits("not together") == (NotTogether(("name", "born"), f"{place}[0]"),)
    assert limits("sampling") == (Sample(Decimal("12.5"), f"{place}[0]"),)
    assert limits("k-anonymity") == (KAnonymity(5, ("age", "country"), f"{place}[0]"),)
    assert limits("aggregate only") == (AggregateOnly(20, "patient", f"{place}[0]"),)
    assert limits("consent") == (Consent("patient", f"{place}[0]"),)


def test_obligations_and_revocability_compile_to_dates_and_what_follows() -> None:
    (delete,) = compiled("delete after").duties
    assert (delete.delay, delete.consequence) == (Duration(0, timedelta(days=30)), Consequence.SUSPEND)
    inform, attribute = compiled("inform and attribute").duties
    assert inform.every == Duration(0, timedelta(days=30))
    assert attribute.action == ODRL + "attribute"
    policy = compiled("revocability")
    notice = Duration(0, timedelta(days=14))
    assert policy.permissions[0].revocable == Revocable(notice, "permission[0].constraint[0]")
    assert policy.duties[0].consequence is Consequence.TERMINATE


@pytest.mark.parametrize("name", SAMPLES)
def test_every_type_fits_the_data_that_it_is_made_for(name: str) -> None:
    fit_to_columns(compiled(name), COLUMNS)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_type_survives_expansion_and_compaction_under_the_contexts_of_the_protocol_alone(
    name: str,
) -> None:
    theirs = shared_data("odrl", "vocab", "odrl", "dsp-2025-1-odrl.jsonld")
    official = shared_data("dsp", "artifacts", "src", "main", "resources", "context", "odrl.jsonld")
    before = normal_form(Offer.read(sample(name)))
    for file in (theirs, official):
        context = json.loads(file.read_text())["@context"]
        expanded = jsonld.expand({"@context": context, **sample(name)})
        again = jsonld.compact(expanded, context)
        assert normal_form(Offer.read({key: again[key] for key in again if key != "@context"})) == before


@pytest.mark.parametrize("name", SAMPLES)
def test_every_type_survives_a_peer_that_names_everything_by_iri(name: str) -> None:
    inline = {"@context": {"o": ODRL}, **sample(name)}
    renamed = json.loads(
        json.dumps(inline)
        .replace('"permission"', '"o:permission"')
        .replace('"prohibition"', '"o:prohibition"')
        .replace('"obligation"', '"o:obligation"')
        .replace('"constraint"', '"o:constraint"')
        .replace('"rightOperand"', '"o:rightOperand"')
        .replace('"and"', '"o:and"')
        .replace('"@type": "Offer"', '"@type": "o:Offer"')
    )
    renamed["o:profile"] = {"@id": renamed.pop("profile")[0]}
    assert normal_form(Offer.read(compact_form(_ids(renamed)))) == normal_form(Offer.read(sample(name)))


def _ids(value: Any) -> Any:
    """Write actions, operands and operators as JSON-LD nodes with absolute ids."""
    if isinstance(value, list):
        return [_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {}
    for key, item in value.items():
        if key in ("action", "operator", "leftOperand"):
            iri = item if ":" in item else ODRL + item
            changed["o:" + key] = {"@id": iri}
        else:
            changed[key] = _ids(item)
    return changed


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no duration": (
        [limit("odrl:elapsedTime", "lteq", "30 days")],
        "'30 days' is not a duration; write one like P30D",
    ),
    "no length": ([limit("odrl:elapsedTime", "lteq", "PT0S")], "lasts no time"),
    "too long": ([limit("odrl:elapsedTime", "lteq", "P101Y")], "longer than 100 years"),
    "duration at least": (
        [limit("odrl:elapsedTime", "gteq", "P3D")],
        "cannot enforce operator 'gteq' of odrl:elapsedTime in permission[0].constraint[0]; known: lteq, lt",
    ),
    "no day": ([limit("dayOfWeek", "isAnyOf", ["Someday"])], "'Someday' is no day of the week"),
    "no window": ([limit("timeOfDay", "isAnyOf", ["8-18"])], "'8-18' is no window of the day"),
    "empty window": ([limit("timeOfDay", "eq", "08:00-08:00")], "ends when it starts"),
    "no zone": (
        [limit("timeOfDay", "eq", "08:00-18:00"), limit("timeZone", "eq", "Berlin")],
        "permission[0].constraint[1] (hansa:timeZone): no time zone is called 'Berlin'; "
        "did you mean Europe/Berlin?",
    ),
    "a zone that is a path": (
        [limit("timeOfDay", "eq", "08:00-18:00"), limit("timeZone", "eq", "../../etc/passwd")],
        "no time zone is called",
    ),
    "zone alone": (
        [limit("timeZone", "eq", "Europe/Berlin")],
        "permission[0].constraint[0] (hansa:timeZone) explains nothing there; write it beside "
        "hansa:dayOfWeek or hansa:timeOfDay, in the same rule",
    ),
    "zone under or": (
        [{"or": [limit("timeOfDay", "eq", "08:00-18:00"), limit("timeZone", "eq", "UTC")]}],
        "constraint[0].or[1] (hansa:timeZone) explains nothing there; write it directly in the rule",
    ),
    "zone twice": (
        [limit("dayOfWeek", "eq", "Monday"), *([limit("timeZone", "eq", "UTC")] * 2)],
        "is said twice",
    ),
    "unit alone": ([limit("odrl:unitOfCount", "eq", "hansa:row")], "beside odrl:count"),
    "unknown unit": (
        [limit("odrl:count", "lteq", "5"), limit("odrl:unitOfCount", "eq", "hansa:moon")],
        "cannot count 'hansa:moon'; known: hansa:request",
    ),
    "nothing counted": ([limit("odrl:count", "lt", "1")], "'lt 1' allows nothing"),
    "no region": ([limit("odrl:spatial", "isPartOf", "Atlantis")], "'Atlantis' is no region that we know"),
    "rows by subdivision": ([limit("rowSpatial/country", "isPartOf", "DE-BY")], "not by subdivisions"),
    "no environment": ([limit("environment", "eq", "basement")], "no environment is called 'basement'"),
    "no claim": ([limit("credential/", "eq", "x")], "cannot enforce"),
    "not revocable": ([limit("revocable", "eq", "false")], "cannot be kept; write true"),
    "notice alone": ([limit("notice", "eq", "P14D")], "beside hansa:revocable"),
    "no rate": ([limit("rate", "lteq", "fast")], "'fast' is no rate; write rows/period"),
    "rate by month": ([limit("rate", "lteq", "5/P1M")], "months differ in length"),
    "two rates": (
        [limit("rate", "lteq", "5/PT1M"), limit("rate", "lteq", "50/PT1H")],
        "permission[0].constraint[1] repeats hansa:rate of permission[0].constraint[0]",
    ),
    "no mask": ([limit("mask/name", "eq", "blur")], "no mask is called 'blur'"),
    "no bucket": ([limit("mask/age", "eq", "bucket:0")], "has no width"),
    "no unit of truncation": ([limit("mask/born", "eq", "truncate:decade")], "cannot truncate to 'decade'"),
    "too round": ([limit("mask/income", "eq", "round:99")], "cannot round to '99' digits"),
    "too much said": ([limit("mask/name", "eq", "hash:md5")], "mask hash takes no argument"),
    "one together": ([limit("notTogether", "isAllOf", ["name"])], "write two or more"),
    "no percentage": ([limit("odrl:percentage", "lteq", "0")], "is no percentage"),
    "too many percent": ([limit("odrl:percentage", "lteq", "101")], "is no percentage"),
    "k of one": (
        [limit("kAnonymity", "gteq", "1"), limit("quasiIdentifiers", "isAllOf", ["age"])],
        "hides nobody",
    ),
    "k of nothing": ([limit("kAnonymity", "gteq", "5")], "write hansa:quasiIdentifiers isAllOf beside it"),
    "no statistics": ([limit("aggregateOnly", "eq", "false")], "write true, or leave the term out"),
    "no consent": ([limit("consent/patient", "eq", "assumed")], "says nothing here; write 'given'"),
    "a duty's term": (
        [limit("odrl:delayPeriod", "lteq", "P30D")],
        "cannot enforce odrl:delayPeriod in permission[0].constraint[0]; it stands in an obligation",
    ),
    "a window that never opens": (
        [limit("odrl:dateTime", "gteq", "2027-01-01"), limit("odrl:dateTime", "lt", "2026-01-01")],
        "permission[0]: its time window never opens",
    ),
    "no common day": (
        [limit("dayOfWeek", "eq", "Monday"), limit("dayOfWeek", "eq", "Friday")],
        "have no day in common",
    ),
    "quasi-identifiers left empty": (
        [
            limit("kAnonymity", "gteq", "5"),
            limit("quasiIdentifiers", "isAllOf", ["age"]),
            limit("mask/age", "eq", "null"),
        ],
        "which is left empty by a mask",
    ),
    "quasi-identifiers hidden": (
        [
            limit("kAnonymity", "gteq", "5"),
            limit("quasiIdentifiers", "isAllOf", ["age"]),
            limit("columns", "isAnyOf", ["name"]),
        ],
        "which the column list of permission[0] hides",
    ),
    "consent by two": (
        [limit("consent/patient", "eq", "given"), limit("consent/name", "eq", "given")],
        "name one column of subjects",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_is_refused_with_its_term_its_place_and_what_to_write(name: str) -> None:
    constraints, words = REFUSED[name]
    message = refusal(*constraints)
    assert words in message
    assert "permission[0]" in message


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        ([limit("odrl:elapsedTime", "lteq", "P3D")], "an obligation takes odrl:dateTime"),
        ([limit("odrl:timeInterval", "eq", "PT1M")], "PT1M is too often; write at least PT1H"),
        (
            [limit("odrl:timeInterval", "eq", "P3D"), limit("odrl:delayPeriod", "lteq", "P3D")],
            "write one of them",
        ),
        ([limit("consequence", "eq", "fine")], "says nothing here; write 'suspend' or 'terminate'"),
        ([limit("consequence", "eq", "suspend")] * 2, "is said twice"),
        ([limit("odrl:delayPeriod", "eq", "P3D")], "known: lteq"),
    ],
)
def test_an_obligation_takes_dates_intervals_and_consequences_only(
    constraints: list[dict[str, Any]], words: str
) -> None:
    members = {"permission": [rule("use")], "obligation": [rule("delete", *constraints)]}
    with pytest.raises(Refused) as refused:
        compile_policy(Offer.read(absolute({"@id": "urn:o", **members})))
    assert words in str(refused.value)
    assert "obligation[0]" in str(refused.value)


def test_a_promise_cannot_speak_of_rows() -> None:
    prohibited = [rule("odrl:distribute", limit("column/age", "lt", "18"))]
    with pytest.raises(Refused, match="happens out of our sight; prohibit odrl:use of these rows"):
        compile_policy(Offer.read({"@id": "urn:o", "permission": [rule("use")], "prohibition": prohibited}))


def test_a_time_without_a_zone_is_taken_as_utc_and_warned_of() -> None:
    def warned(said: str) -> tuple[str, ...]:
        terms = {"permission": [rule("use", limit("dateTime", "lt", said))]}
        return compile_policy(Offer.read({"@id": "urn:o", **terms})).warnings

    assert warned("2027-01-01T00:00:00") == (
        "permission[0].constraint[0] (odrl:dateTime): '2027-01-01T00:00:00' names no time zone and is taken "
        "as UTC; write 2027-01-01T00:00:00Z to say so",
    )
    assert warned("2027-01-01T00:00:00Z") == warned("2027-01-01T00:00:00+02:00") == warned("2027-01-01") == ()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_type_is_valid_by_the_schemas_of_the_protocol(name: str) -> None:
    message_offer = {"$ref": BASE + "negotiation/contract-schema.json#/definitions/MessageOffer"}
    judge = Draft201909Validator(message_offer, registry=registry())
    offer = {"target": "urn:ds:1", **sample(name)}
    assert [error.message for error in judge.iter_errors(offer)] == []
    assert not judge.is_valid({**offer, "permission": [{"action": 5}]})
