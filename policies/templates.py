"""Ready-made offers, filled in: the terms that most holders want, by name.

A template is a small file in `resources/templates`: the actions it permits, the constraints that hold for
each, what is prohibited and owed. A constraint whose parameters are optional and all left out is left out
too; leaving out some of them is an error, so that no limit is lost by a slip.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from policies.compiled import compile_policy
from policies.operands import COLUMN
from policies.profile import operator_named, purpose_iri
from policies.values import read_count, read_scalar, read_time, shown
from schemas.errors import Malformed, Refused
from schemas.odrl import Offer
from schemas.vocab import HANSA_PROFILE, XSD

_SLOT = re.compile(r"\$\{(each )?(\w+)\}")


def template_names() -> tuple[str, ...]:
    """Return the names of the templates, in alphabetical order."""
    found = files("policies").joinpath("resources", "templates").iterdir()
    suffix = ".jsonld"
    return tuple(sorted(path.name.removesuffix(suffix) for path in found if path.name.endswith(suffix)))


def template_about(name: str) -> str:
    """Return one sentence on what a template offers.

    Raises:
        Malformed: if there is no such template.
    """
    about: str = _load(name)["about"]
    return about


def template_parameters(name: str) -> dict[str, str]:
    """Return the parameters of a template, each with its form and whether it may be left out.

    Raises:
        Malformed: if there is no such template.
    """
    return {
        parameter: f"{row['about']}: {_FORMS[row['form']][0]}" + ("" if row["required"] else " (optional)")
        for parameter, row in _load(name)["parameters"].items()
    }


def fill(name: str, offer_id: str, /, **parameters: Any) -> Offer:
    """Make an offer from a template.

    Args:
        name: one of `template_names()`.
        offer_id: the id of the new offer.
        parameters: as `template_parameters(name)` lists them; None counts as left out.

    Raises:
        Malformed: if there is no such template or parameter, one is missing, or one has the wrong form; the
            message names the parameter and its form.
    """
    template = _load(name)
    values = _checked(name, template["parameters"], parameters)
    constraints = [
        filled for constraint in template["constraints"] for filled in _filled(name, constraint, values)
    ]
    optional = {"constraint": constraints} if constraints else {}
    offer = Offer.read(
        {
            "@id": offer_id,
            "@type": "Offer",
            "profile": HANSA_PROFILE,
            "permission": [{"action": action, **optional} for action in template["actions"]],
            "prohibition": [{"action": action} for action in template["prohibitions"]],
            "obligation": [{"action": action} for action in template["obligations"]],
        }
    )
    compile_policy(offer)
    return offer


@lru_cache(maxsize=32)
def _load(name: str) -> dict[str, Any]:
    if name not in template_names():
        raise Malformed(f"no template is called {shown(name)}; there are: {', '.join(template_names())}")
    text = files("policies").joinpath("resources", "templates", f"{name}.jsonld").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _checked(name: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    for parameter in given:
        if parameter not in known:
            raise Malformed(
                f"template {name!r} has no parameter {shown(parameter)}; it takes: {', '.join(known)}"
            )
    values = {}
    for parameter, row in known.items():
        form, read = _FORMS[row["form"]]
        value = given.get(parameter)
        if value is None:
            if row["required"]:
                raise Malformed(f"template {name!r} needs parameter '{parameter}': {row['about']}, as {form}")
            continue
        try:
            values[parameter] = read(value)
        except Refused as error:
            raise Malformed(f"template {name!r}, parameter '{parameter}' must be {form}: {error}") from None
    return values


def _filled(name: str, constraint: Mapping[str, str], values: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    slots = [(each, slot) for part in constraint.values() for each, slot in _slots(part)]
    missing = [slot for _, slot in slots if slot not in values]
    if missing and len(missing) == len(slots):
        return
    if missing:
        given = ", ".join(f"'{slot}'" for _, slot in slots if slot in values)
        raise Malformed(f"template {name!r} needs parameter '{missing[0]}' beside {given}; give all or none")
    repeated = next((slot for each, slot in slots if each), None)
    for item in values[repeated] if repeated else (None,):
        yield {key: _substituted(part, values, item) for key, part in constraint.items()}


def _slots(part: Any) -> list[tuple[str, str]]:
    """List the slots of one member; only text has any."""
    return _SLOT.findall(part) if isinstance(part, str) else []


def _substituted(part: Any, values: Mapping[str, Any], item: Any) -> Any:
    slots = _slots(part)
    if not slots:
        return part
    each, slot = slots[0]
    value = item if each else values[slot]
    whole = _SLOT.fullmatch(part)
    return value if whole else _SLOT.sub(lambda _: quote(str(value), safe=""), part)


def _several(value: Any, what: str) -> Sequence[Any]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not items:
        raise Malformed(f"got {shown(value)}; write one or more {what}")
    return items


def _time(value: Any) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    text = value.isoformat() if isinstance(value, date) else value
    read_time(text, "got")
    return str(text)


def _column(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Malformed(f"got {shown(value)}; write the name of a column")
    return value


def _operator(value: Any) -> str:
    operator = operator_named(value) if isinstance(value, str) else None
    if operator not in COLUMN.operators:
        raise Malformed(f"got {shown(value)}; write one of {', '.join(COLUMN.operators)}")
    return str(operator)


def _value(value: Any) -> Any:
    """Write a value to compare with so that its type travels."""
    if isinstance(value, list | tuple):
        return [_value(item) for item in _several(value, "values")]
    if isinstance(value, datetime):
        return {"@value": _time(value), "@type": XSD + "dateTime"}
    if isinstance(value, date):
        return {"@value": value.isoformat(), "@type": XSD + "date"}
    if isinstance(value, bool):
        return {"@value": "true" if value else "false", "@type": XSD + "boolean"}
    if isinstance(value, int):
        return {"@value": str(value), "@type": XSD + "integer"}
    if isinstance(value, float | Decimal):
        written = {"@value": str(value), "@type": XSD + "decimal"}
        read_scalar(written, "got")
        return written
    read_scalar(value, "got")
    return value


def _count(value: Any) -> str:
    return str(read_count(value, "got"))


_FORMS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "time": ("a dateTime like 2026-12-01T00:00:00Z, or a date for the whole day", _time),
    "purposes": (
        "one or more DPV purposes like 'ScientificResearch'",
        lambda value: [purpose_iri(str(item)) for item in _several(value, "purposes")],
    ),
    "column": ("the name of a column", _column),
    "columns": (
        "one or more names of columns",
        lambda value: [_column(item) for item in _several(value, "names of columns")],
    ),
    "operator": (f"one of {', '.join(COLUMN.operators)}", _operator),
    "value": ("text, a number, true or false, a date, or a list of them", _value),
    "count": ("a whole number from 1", _count),
}
"""For each form: how it is described, and how it is read."""
