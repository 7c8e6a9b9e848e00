"""Random policies and worlds as plain data for `tests/naive_odrl.py`, and as Turtle and our values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from policies.odrl.compare import Hierarchy, Knowledge, Measured, Quantity, Values
from policies.odrl.model import Iri, Typed
from policies.odrl.vocabulary import OPERATORS
from policies.odrl.world import FAIL_CLOSED, Behaviour, Event, Request, World
from schemas.vocab import ODRL, XSD
from tests.naive_odrl import DAY, Deed, Plain, Setting

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
EX = "urn:x:"
UNIT_IRIS = {
    "KiloBYTE": "http://qudt.org/vocab/unit/KiloBYTE",
    "MegaBYTE": "https://dbpedia.org/resource/Megabyte",
    "EUR": "http://publications.europa.eu/resource/authority/currency/EUR",
    "shell": "urn:x:shell",
}
KINDS = {"biology": ["science", "work"], "ads": ["work"], "round": ["about"], "about": ["round"]}
PARTS = {"DE": ["EU"], "FR": ["EU"], "EU": ["EUROPE"], "CH": ["EUROPE"]}
PEOPLE, ASSETS = ("me", "you", "lab", "staff"), ("file", "folder")
WITHIN = {"me": ["lab"], "lab": ["staff"], "staff": ["lab"], "file": ["folder"]}

_numbers = st.sampled_from([Fraction(at) for at in (0, 1, 2, 5, 0.5, 1000)])
_instants = st.integers(0, 4 * 24).map(lambda hours: ("time", hours * 3600, hours * 3600))
_days = st.integers(0, 3).map(lambda day: ("time", day * DAY, (day + 1) * DAY - 1))
_texts = st.sampled_from(["de", "en"]).map(lambda text: ("text", text))
_purposes = st.sampled_from(["biology", "science", "work", "ads", "round", "new"]).map(
    lambda name: ("iri", name)
)
_places = st.sampled_from(["DE", "FR", "EU", "EUROPE", "CH", "XX"]).map(lambda name: ("iri", name))
_bare = _numbers.map(lambda number: ("number", number))
_mixed = st.one_of(
    _texts,
    _bare,
    st.sampled_from(["de", "science"]).map(lambda name: ("iri", name)),
    st.just(("typed", "de")),
)
RIGHTS = {
    "language": _texts,
    "absoluteSize": _bare,
    "count": st.integers(0, 4).map(lambda number: ("number", Fraction(number))),
    "dateTime": st.one_of(_instants, _days),
    "purpose": _purposes,
    "spatial": _places,
    "version": _mixed,
}


def _fact(operand: str) -> st.SearchStrategy[Any]:
    units = st.sampled_from(
        [None, "KiloBYTE", "MegaBYTE", "EUR", "shell"] if operand == "absoluteSize" else [None]
    )
    return st.tuples(RIGHTS[operand], units).map(
        lambda two: (*two[0], two[1]) if two[0][0] == "number" else two[0]
    )


@st.composite
def facts(draw: st.DrawFn) -> dict[str, list[Any]]:
    """What is known of some operands; of the rest, nothing."""
    known = st.sampled_from(["language", "absoluteSize", "count", "purpose", "spatial", "version"])
    names = draw(st.sets(known, min_size=draw(st.sampled_from([0, 4, 6]))))
    most = {"count": 1}
    return {
        name: draw(st.lists(_fact(name), min_size=1, max_size=most.get(name, 2))) for name in sorted(names)
    }


@st.composite
def atomic(draw: st.DrawFn, without: str = "") -> Plain:
    operand = draw(st.sampled_from(sorted(set(RIGHTS) - {without})))
    right = draw(st.lists(RIGHTS[operand], min_size=1, max_size=2))
    made: Plain = {"left": operand, "op": draw(st.sampled_from(OPERATORS)), "right": right}
    if operand == "absoluteSize":
        made["unit"] = draw(st.sampled_from(["", "KiloBYTE", "MegaBYTE", "EUR", "shell"]))
    return made


conditions = st.recursive(
    atomic(),
    lambda inner: st.tuples(
        st.sampled_from(["and", "or", "xone", "andSequence"]), st.lists(inner, min_size=1, max_size=3)
    ).map(lambda two: {two[0]: two[1]}),
    max_leaves=4,
)
_limits = st.one_of(st.just([]), st.lists(atomic(), max_size=1), st.lists(conditions, max_size=2))


@st.composite
def rules(draw: st.DrawFn, kind: str = "permission", depth: int = 1) -> Plain:
    is_duty = kind in ("duty", "obligation", "consequence")
    actions = ("inform", "compensate", "use") if is_duty else ("use", "use", "play", "display", "sell")
    made: Plain = {"action": draw(st.sampled_from(actions))}
    for name, values in (("assignee", PEOPLE), ("target", ASSETS)):
        if draw(st.integers(0, 4)) == 4:
            made[name] = draw(st.sampled_from(values))
    if kind != "consequence":
        made["constraint"] = draw(_limits)
    if draw(st.integers(0, 4)) == 4:
        made["refinement"] = draw(st.lists(atomic("count"), min_size=1, max_size=1))
    if kind in ("duty", "obligation") and draw(st.booleans()):
        end: Plain = {
            "left": "dateTime",
            "op": draw(st.sampled_from(["lt", "lteq"])),
            "right": [draw(RIGHTS["dateTime"])],
        }
        made["constraint"] = [*made["constraint"], end]
    if kind == "prohibition" and draw(st.integers(0, 2)) == 2:
        made["remedy"] = draw(st.lists(rules("consequence", 0), min_size=1, max_size=2))
    if depth and kind in ("permission", "obligation", "duty"):
        name = "duty" if kind == "permission" else "consequence"
        inner = rules(name, 1 if kind == "permission" else 0)
        made[name] = draw(st.lists(inner, max_size=1 if kind == "permission" else 2))
    return made


@st.composite
def policies(draw: st.DrawFn) -> Plain:
    made = {
        "permission": draw(
            st.lists(rules("permission"), min_size=draw(st.sampled_from([0, 1, 2])), max_size=2)
        ),
        "prohibition": draw(st.lists(rules("prohibition", 0), max_size=2)),
        "obligation": draw(st.lists(rules("obligation"), max_size=1)),
    }
    if not any(made.values()):
        made["permission"] = [{"action": "use"}]
    return {**made, "conflict": draw(st.sampled_from(["invalid", "perm", "prohibit"]))}


@st.composite
def deeds(draw: st.DrawFn) -> Deed:
    return Deed(
        draw(st.integers(0, 4 * 24)) * 3600,
        draw(st.sampled_from(["inform", "compensate", "play", "use"])),
        draw(st.sampled_from(PEOPLE)),
        draw(st.sampled_from(ASSETS)),
        draw(facts()),
    )


SWITCHES = ("closed", "duties_fulfilled", "unknown_prohibits", "wider_request_hits", "anyone_performs")


@st.composite
def settings(draw: st.DrawFn) -> Setting:
    asked = st.sampled_from(["display", "play", "display", "play", "use", "print", "sell", "unheard", None])
    return Setting(
        now=draw(st.integers(0, 4 * 24)) * 3600,
        action=draw(asked),
        by=draw(st.sampled_from([*PEOPLE, "me", None])),
        target=draw(st.sampled_from([*ASSETS, "file", None])),
        facts=draw(facts()),
        own=draw(st.one_of(st.just({}), facts())),
        world=draw(st.one_of(st.just({}), facts())),
        within=WITHIN,
        kinds=KINDS,
        parts=PARTS,
        deeds=draw(st.lists(deeds(), max_size=4)),
        switches={name: name != "anyone_performs" for name in SWITCHES}
        | draw(st.dictionaries(st.sampled_from(SWITCHES), st.booleans(), max_size=2)),
    )


# --- as Turtle ---------------------------------------------------------------------------------------


def _moment(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()


def literal(value: Any) -> str:
    match value:
        case ("text", text):
            return f'"{text}"'
        case ("number", number, *_):
            return str(number) if number.denominator == 1 else f'"{float(number)}"^^xsd:decimal'
        case ("iri", name):
            return f"ex:{name}"
        case ("typed", text):
            return f'"{text}"^^ex:type'
        case ("time", since, until):
            kind, text = ("dateTime", _moment(since)) if since == until else ("date", _moment(since)[:10])
            return f'"{text}"^^xsd:{kind}'
    raise ValueError(value)


def condition(said: Plain) -> str:
    for form in ("and", "or", "xone", "andSequence"):
        if form in said:
            return f"[ odrl:{form} ( {' '.join(map(condition, said[form]))} ) ]"
    unit = f"; odrl:unit <{UNIT_IRIS[said['unit']]}>" if said.get("unit") else ""
    right = " ".join(map(literal, said["right"]))
    right = f"( {right} )" if len(said["right"]) > 1 else right
    words = f"odrl:leftOperand odrl:{said['left']} ; odrl:operator odrl:{said['op']}"
    return f"[ {words} ; odrl:rightOperand {right} {unit} ]"


def rule(said: Plain) -> str:
    refined = "".join(f"odrl:refinement {condition(one)} ; " for one in said.get("refinement", ()))
    action = f"[ rdf:value odrl:{said['action']} ; {refined} ]" if refined else f"odrl:{said['action']}"
    parts = [f"odrl:action {action}"]
    parts += [f"odrl:{name} ex:{said[name]}" for name in ("assignee", "target") if name in said]
    parts += [f"odrl:constraint {condition(one)}" for one in said.get("constraint", ())]
    parts += [
        f"odrl:{name} {rule(one)}" for name in ("duty", "consequence", "remedy") for one in said.get(name, ())
    ]
    return f"[ {' ; '.join(parts)} ]"


def turtle(policy: Plain) -> str:
    """Write a policy as Turtle."""
    rules = "".join(
        f" ; odrl:{kind} {rule(one)}"
        for kind in ("permission", "prohibition", "obligation")
        for one in policy.get(kind, ())
    )
    return (
        f"@prefix odrl: <{ODRL}> . @prefix xsd: <{XSD}> . @prefix ex: <{EX}> . "
        "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . "
        f"ex:p a odrl:Set ; odrl:conflict odrl:{policy['conflict']}{rules} ."
    )


# --- as our values -----------------------------------------------------------------------------------


def _value(said: Any) -> Measured:
    match said:
        case ("text", text):
            return str(text)
        case ("number", number, unit):
            plain = int(number) if number.denominator == 1 else Decimal(float(number))
            return plain if unit is None else Quantity(plain, UNIT_IRIS[unit])
        case ("iri", name):
            return Iri(EX + name)
        case ("typed", text):
            return Typed(text, EX + "type")
    raise ValueError(said)


def _values(said: Any) -> dict[str, Values]:
    return {ODRL + name: tuple(map(_value, values)) for name, values in said.items()}


def _up(said: Any) -> Hierarchy:
    return Hierarchy({Iri(EX + name): [Iri(EX + one) for one in wider] for name, wider in said.items()})


def asked(setting: Setting) -> tuple[Request, World]:
    """Write a setting as a request and a world of ours."""
    request = Request(
        setting.action and ODRL + setting.action,
        setting.target and EX + setting.target,
        setting.by and EX + setting.by,
        values=_values(setting.facts),
        action_values=_values(setting.own),
    )
    events = tuple(
        Event(
            EPOCH + timedelta(seconds=deed.at),
            Request(ODRL + deed.action, EX + deed.target, EX + deed.by, values=_values(deed.facts)),
        )
        for deed in setting.deeds
    )
    world = World(
        EPOCH + timedelta(seconds=setting.now),
        _values(setting.world),
        members={EX + name: tuple(EX + one for one in wider) for name, wider in setting.within.items()},
        knowledge=Knowledge(_up(setting.kinds), _up(setting.parts)),
        events=events,
    )
    return request, world


def behaviour(setting: Setting) -> Behaviour:
    """Return the switches of a setting as ours."""
    said = FAIL_CLOSED
    for name, is_so in setting.switches.items():
        said = replace(said, **{name: is_so})  # type: ignore[arg-type]  # all that are drawn are of two values
    return said
