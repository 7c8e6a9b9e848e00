"""Ready-made offers, filled in: the terms that most holders want, by name.

A template is a small file in `resources/templates`: the actions it permits, the constraints that hold for
each, what is prohibited and owed. A constraint whose parameters are optional and all left out is left out
too; leaving out some of them is an error, so that no limit is lost by a slip.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from policies.compiled import compile_policy
from policies.kinds.durations import read_duration
from policies.kinds.values import read_count, read_scalar, read_text, read_time, shown
from policies.operands import COLUMN
from policies.profile import operator_named, purpose_iri
from policies.refusals.refusal import refusal
from policies.words.carried import read_carried, spoken
from policies.words.language import Argument, Language, Message, message, say
from schemas.errors import Malformed, Refused
from schemas.odrl import Offer
from schemas.vocab import HANSA_PROFILE, XSD
from schemas.worded import Fuller, Worded, wording

_SLOT = re.compile(r"\$\{(each )?(\w+)\}")


def template_names() -> tuple[str, ...]:
    """Return the names of the templates, in alphabetical order."""
    found = files("policies").joinpath("resources", "templates").iterdir()
    suffix = ".jsonld"
    return tuple(sorted(path.name.removesuffix(suffix) for path in found if path.name.endswith(suffix)))


@dataclass(frozen=True)
class Parameter:
    """What a template asks for: its form, as `FORMS` names it, and what is taken where it is left out."""

    name: str
    form: str
    required: bool
    default: str | list[str] | None
    about: Mapping[str, str]

    def said(self, lang: Language = Language.EN) -> str:
        """Return what it stands for."""
        return self.about[lang]

    @property
    def shown_default(self) -> str:
        """What is taken where it is left out, as a person would write it; empty if nothing is."""
        return ", ".join(self.default) if isinstance(self.default, list) else self.default or ""

    @property
    def help(self) -> str:
        """How it is written, in English."""
        return _form(self.form)


@dataclass(frozen=True)
class Template:
    """A ready-made offer: its title, one sentence on what it offers, and what it asks for."""

    name: str
    titles: Mapping[str, str]
    abouts: Mapping[str, str]
    parameters: tuple[Parameter, ...]

    def title(self, lang: Language = Language.EN) -> str:
        """Return its title."""
        return self.titles[lang]

    def about(self, lang: Language = Language.EN) -> str:
        """Return one sentence on what it offers."""
        return self.abouts[lang]


def template(name: str) -> Template:
    """Return a template, as it is shown to people.

    Raises:
        Malformed: if there is no such template.
    """
    loaded = _load(name)
    parameters = tuple(
        Parameter(key, row["form"], row["required"], row.get("default"), row["about"])
        for key, row in loaded["parameters"].items()
    )
    return Template(name, loaded["title"], loaded["about"], parameters)


def template_about(name: str) -> str:
    """Return one sentence on what a template offers.

    Raises:
        Malformed: if there is no such template.
    """
    return template(name).about()


def template_parameters(name: str, lang: Language = Language.EN) -> dict[str, str]:
    """Return the parameters of a template, each with its form and whether it may be left out.

    Raises:
        Malformed: if there is no such template.
    """
    return {
        one.name: f"{one.said(lang)}: {_form(one.form, lang)}{_optional(one, lang)}"
        for one in template(name).parameters
    }


def _optional(parameter: Parameter, lang: Language) -> str:
    if parameter.default is not None:
        return f" ({say(message('form.default', value=parameter.shown_default), lang)})"
    return "" if parameter.required else f" ({say(message('form.optional'), lang)})"


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
    loaded = _load(name)
    values = _checked(name, loaded["parameters"], parameters)
    constraints = _all_filled(name, loaded["constraints"], values)
    optional = {"constraint": constraints} if constraints else {}
    offer = Offer.read(
        {
            "@id": offer_id,
            "@type": "Offer",
            "profile": HANSA_PROFILE,
            "permission": [{"action": action, **optional} for action in loaded["actions"]],
            "prohibition": [_rule(name, rule, values) for rule in loaded["prohibitions"]],
            "obligation": [_rule(name, rule, values) for rule in loaded["obligations"]],
        }
    )
    compile_policy(offer)
    return offer


def _rule(name: str, rule: str | Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Make a rule from an action alone, or from an action with constraints of its own."""
    if isinstance(rule, str):
        return {"action": rule}
    return {"action": rule["action"], "constraint": _all_filled(name, rule["constraints"], values)}


def _all_filled(
    name: str, constraints: Iterable[Mapping[str, Any]], values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    return [filled for constraint in constraints for filled in _filled(name, constraint, values)]


@lru_cache(maxsize=32)
def _load(name: str) -> dict[str, Any]:
    if name not in template_names():
        raise Malformed(refusal("template", name=shown(name), names=", ".join(template_names())))
    text = files("policies").joinpath("resources", "templates", f"{name}.jsonld").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _checked(name: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    for parameter in given:
        if parameter not in known:
            raise Malformed(
                refusal(
                    "template parameter", name=repr(name), parameter=shown(parameter), known=", ".join(known)
                )
            )
    values = {}
    for parameter, row in known.items():
        form, read = _form_message(row["form"]), _READERS[row["form"]]
        said = say(form)
        value = given.get(parameter)
        value = row.get("default") if value is None else value
        if value is None:
            if row["required"]:
                about = row["about"][Language.EN]
                text = f"template {name!r} needs parameter '{parameter}': {about}, as {said}"
                told = message("template.needs", name=repr(name), parameter=repr(parameter), form=form)
                raise Malformed(_carrying(text, told))
            continue
        try:
            values[parameter] = read(value, parameter)
        except Refused as error:
            text = f"template {name!r}, parameter '{parameter}' must be {said}: {error}"
            told = _why(error, shown(value), name=repr(name), parameter=repr(parameter), form=form)
            raise Malformed(_carrying(text, told)) from None
    return values


def _why(error: Refused, value: str, **slots: Argument) -> Message:
    """Say what is wrong with a value: as its reader says it, if that is told in other languages, too."""
    why = wording(error)
    if isinstance(why, Worded):
        return message("template.wrong", why=read_carried(json.loads(why.told)), **slots)
    return message("template.value", value=value, **slots)


def _carrying(text: str, told: Message) -> str:
    """Return an English text, richer than the message that it carries for other languages."""
    carried = spoken(told)
    return Fuller(text, carried.told) if isinstance(carried, Worded) else text


def _filled(name: str, constraint: Mapping[str, Any], values: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    if constraint.get("when", "") not in ("", *values):
        return
    constraint = {key: part for key, part in constraint.items() if key != "when"}
    slots = [(each, slot) for part in constraint.values() for each, slot in _slots(part)]
    missing = [slot for _, slot in slots if slot not in values]
    if missing and len(missing) == len(slots):
        return
    if missing:
        given = ", ".join(f"'{slot}'" for _, slot in slots if slot in values)
        raise Malformed(refusal("template together", name=repr(name), missing=repr(missing[0]), given=given))
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


def _time(value: Any, place: str) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    text = value.isoformat() if isinstance(value, date) else value
    read_time(text, place)
    return str(text)


def _column(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise Malformed(f"got {shown(value)}; write the name of a column")
    return value


def _operator(value: Any, place: str) -> str:
    operator = operator_named(value) if isinstance(value, str) else None
    if operator not in COLUMN.operators:
        raise Malformed(f"got {shown(value)}; write one of {', '.join(COLUMN.operators)}")
    return str(operator)


def _value(value: Any, place: str) -> Any:
    """Write a value to compare with so that its type travels."""
    if isinstance(value, list | tuple):
        return [_value(item, place) for item in _several(value, "values")]
    if isinstance(value, datetime):
        return {"@value": _time(value, place), "@type": XSD + "dateTime"}
    if isinstance(value, date):
        return {"@value": value.isoformat(), "@type": XSD + "date"}
    if isinstance(value, bool):
        return {"@value": "true" if value else "false", "@type": XSD + "boolean"}
    if isinstance(value, int):
        return {"@value": str(value), "@type": XSD + "integer"}
    if isinstance(value, float | Decimal):
        written = {"@value": str(value), "@type": XSD + "decimal"}
        read_scalar(written, place)
        return written
    read_scalar(value, place)
    return value


def _count(value: Any, place: str) -> str:
    return str(read_count(value, place))


def _texts(value: Any, what: str, place: str) -> list[str]:
    return [read_text(item, place) for item in _several(value, what)]


def _duration(value: Any, place: str) -> str:
    return read_duration(value, place).text


def _percentage(value: Any, place: str) -> Any:
    number = read_scalar({"@value": str(value), "@type": XSD + "decimal"}, place)
    if not isinstance(number, Decimal) or not 0 < number <= 100:
        raise Malformed(f"got {shown(value)}; write a number above 0 and up to 100")
    return {"@value": format(number, "f"), "@type": XSD + "decimal"}


def _group_size(value: Any, place: str) -> str:
    size = read_count(value, place)
    if size < 2:
        raise Malformed(f"got {shown(value)}; a group has at least 2")
    return str(size)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "time": _time,
    "purposes": lambda value, _place: [purpose_iri(str(item)) for item in _several(value, "purposes")],
    "column": _column,
    "columns": lambda value, place: [_column(item, place) for item in _several(value, "names of columns")],
    "operator": _operator,
    "value": _value,
    "count": _count,
    "group_size": _group_size,
    "duration": _duration,
    "percentage": _percentage,
    "groups": lambda value, place: _texts(value, "groups", place),
    "regions": lambda value, place: _texts(value, "regions", place),
    "environments": lambda value, place: _texts(value, "environments", place),
}
"""For each form: how a value is read, at a place that refusals name."""


def _form(name: str, lang: Language = Language.EN) -> str:
    """Say how a value of a form is written."""
    return say(_form_message(name), lang)


def _form_message(name: str) -> Message:
    if name == "operator":
        return message("form.operator", operators=", ".join(COLUMN.operators))
    return message(f"form.{name}")
