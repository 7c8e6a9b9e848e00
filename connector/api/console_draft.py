"""A policy under construction, as the fields of a form: read, changed by a button, and turned into ODRL.

The page keeps nothing on the server: the whole draft travels in the form, so that two tabs are two drafts,
and a restart loses nothing. Foreign to us is every field: names, counts and lengths are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from policies.operands import OPERANDS, operand_for, operand_named
from policies.profile import ACTIONS, Operand, Operator, Role, ValueKind, operator_named
from policies.templates import Template, template
from schemas.errors import Malformed
from schemas.odrl import Constraint, Offer, Rule
from schemas.vocab import HANSA_PROFILE, XSD, compact_iri

MOST_RULES = 40
MOST_CONSTRAINTS = 40
"""The most rules of a draft, and constraints of a rule: more are no work for a form."""

KINDS = ("permission", "prohibition", "obligation")
_SEVERAL = (
    Operator.IS_ANY_OF,
    Operator.IS_NONE_OF,
    Operator.IS_ALL_OF,
    Operator.IS_PART_OF,
)
_TYPES = {
    "int": XSD + "integer",
    "uint": XSD + "integer",
    "float": XSD + "decimal",
    "double": XSD + "decimal",
    "decimal": XSD + "decimal",
    "bool": XSD + "boolean",
    "date": XSD + "date",
    "timestamp": XSD + "dateTime",
}
"""For how the type of a column begins: the type of a value that is compared with it."""
_NUMBERS = {ValueKind.PERCENTAGE: XSD + "decimal"}


@dataclass(frozen=True)
class Row:
    """One constraint: operand, the column or claim that it speaks of, operator and value; or `raw` ODRL."""

    operand: str = ""
    named: str = ""
    operator: str = ""
    value: str = ""
    raw: str = ""

    @property
    def known(self) -> Operand | None:
        """The operand's row in the profile."""
        return next((one for one in OPERANDS if one.iri == self.operand), None)

    def as_odrl(self, types: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the constraint as it travels; None for a row that was not filled in yet.

        A value to compare cells with takes the type of its column, where that is known.

        Raises:
            Malformed: if it is half filled in.
        """
        if self.raw:
            return _json(self.raw)
        operand = self.known
        if operand is None:
            return None
        if operand.suffix and not self.named:
            raise Malformed(f"{operand.name}: name the {operand.suffix} that it speaks of")
        operator = self.operator if self.operator in operand.operators else operand.operators[0].value
        return {
            "leftOperand": operand_for(operand, self.named) if operand.suffix else operand.iri,
            "operator": operator,
            "rightOperand": self._value(operand, Operator(operator), types.get(self.named, "")),
        }

    def _value(self, operand: Operand, operator: Operator, datatype: str) -> Any:
        text = self.value.strip()
        if not text:
            raise Malformed(f"{operand.name}: write a value: {operand.kind}")
        if operand.kind is ValueKind.SCALAR:
            kind = next((iri for start, iri in _TYPES.items() if datatype.startswith(start)), None)
        else:
            kind = _NUMBERS.get(operand.kind)
        many = [part.strip() for part in text.split(",") if part.strip()] or [text]
        values = [{"@value": one, "@type": kind} if kind else one for one in many]
        if operator in _SEVERAL:
            return values
        return {"@value": text, "@type": kind} if kind else text


@dataclass(frozen=True)
class DraftRule:
    """One rule: its kind, its action and its constraints."""

    kind: str
    action: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Draft:
    """The rules under construction, and what is asked of the template that is being filled in."""

    rules: tuple[DraftRule, ...] = ()
    template: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def offer(self, types: Mapping[str, str] | None = None) -> Offer:
        """Return the draft as an offer; `types` are those of the data's columns, where they are known.

        Raises:
            Malformed: if a row is half filled in; the message names it.
        """
        rules: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for rule in self.rules:
            constraints = [made for row in rule.rows if (made := row.as_odrl(types or {})) is not None]
            more = {"constraint": constraints} if constraints else {}
            rules[rule.kind].append({"action": rule.action, **more})
        return Offer.read({"@id": "urn:hansa:draft", "@type": "Offer", "profile": HANSA_PROFILE, **rules})

    def chosen(self) -> Template | None:
        """Return the template that is being filled in.

        Raises:
            Malformed: if there is none of that name.
        """
        return template(self.template) if self.template else None

    def given(self) -> dict[str, Any]:
        """Return the parameters that were filled in; commas make lists where a list is meant."""
        chosen = self.chosen()
        forms = {one.name: one.form for one in chosen.parameters} if chosen is not None else {}
        found: dict[str, Any] = {}
        for name, text in self.parameters.items():
            if name in forms and text.strip():
                many = forms[name] in ("purposes", "columns", "groups", "regions", "environments")
                parts = [part.strip() for part in text.split(",") if part.strip()]
                found[name] = parts if many or (forms[name] == "value" and len(parts) > 1) else text.strip()
        return found


_FIELD = re.compile(r"r(\d{1,2})(?:c(\d{1,2}))?-(kind|action|operand|named|operator|value|raw)", re.ASCII)


def read_draft(form: Mapping[str, str]) -> Draft:
    """Read a draft out of the fields of a form.

    Raises:
        Malformed: if it has more rules or constraints than a form is for, or a kind that there is not.
    """
    rules: dict[int, dict[str, str]] = {}
    rows: dict[tuple[int, int], dict[str, str]] = {}
    for name, value in form.items():
        found = _FIELD.fullmatch(name)
        if found is None:
            continue
        at = int(found[1])
        if found[2] is None:
            rules.setdefault(at, {})[found[3]] = value
        else:
            rows.setdefault((at, int(found[2])), {})[found[3]] = value
    if len(rules) > MOST_RULES or len(rows) > MOST_RULES * MOST_CONSTRAINTS:
        raise Malformed(f"a form takes {MOST_RULES} rules of {MOST_CONSTRAINTS} constraints; write a file")
    read = tuple(
        _rule(rules[at], [rows[key] for key in sorted(rows) if key[0] == at]) for at in sorted(rules)
    )
    parameters = {name[2:]: value for name, value in form.items() if name.startswith("p-")}
    return Draft(read, form.get("template", ""), parameters)


def _rule(said: Mapping[str, str], rows: list[dict[str, str]]) -> DraftRule:
    kind = said.get("kind", "")
    if kind not in KINDS:
        raise Malformed(f"no rule is of kind {kind[:40]!r}; there are: {', '.join(KINDS)}")
    read = tuple(
        Row(**{name: text for name, text in row.items() if name in Row.__dataclass_fields__}) for row in rows
    )
    return DraftRule(kind, said.get("action", ""), read)


_DO = re.compile(r"(add-rule|remove-rule|add-row|remove-row)(?:-(\d{1,2}))?(?:-(\d{1,2}))?", re.ASCII)


def changed(draft: Draft, do: str, kind: str = "permission") -> Draft:
    """Return the draft after a button was pressed: a rule or row more or less; other buttons change nothing.

    Raises:
        Malformed: if there would be more than a form is for.
    """
    found = _DO.fullmatch(do)
    if found is None:
        return draft
    verb, at = found[1], int(found[2] or 0)
    rules = list(draft.rules)
    if verb == "add-rule":
        if len(rules) >= MOST_RULES or kind not in KINDS:
            raise Malformed(f"a form takes {MOST_RULES} rules: permission, prohibition or obligation")
        rules.append(DraftRule(kind, actions_for(kind)[0].iri))
    elif at < len(rules):
        rows = list(rules[at].rows)
        if verb == "remove-rule":
            del rules[at]
            return replace(draft, rules=tuple(rules))
        if verb == "add-row":
            if len(rows) >= MOST_CONSTRAINTS:
                raise Malformed(f"a form takes {MOST_CONSTRAINTS} constraints of a rule; write a file")
            rows.append(Row())
        elif int(found[3] or 0) < len(rows):
            del rows[int(found[3] or 0)]
        rules[at] = replace(rules[at], rows=tuple(rows))
    return replace(draft, rules=tuple(rules))


def from_offer(offer: Offer, before: Draft) -> Draft:
    """Return the draft of an offer that exists, such as one that a template made."""
    kinds: tuple[tuple[str, tuple[Rule, ...]], ...] = (
        ("permission", offer.permission),
        ("prohibition", offer.prohibition),
        ("obligation", offer.obligation),
    )
    rules = tuple(
        DraftRule(kind, _action_iri(rule.action), tuple(_row(one) for one in rule.constraint))
        for kind, some in kinds
        for rule in some
    )
    return replace(before, rules=rules)


def _action_iri(spelling: str) -> str:
    from policies.profile import action_named

    known = action_named(spelling)
    return known.iri if known is not None else spelling


def _row(constraint: Constraint) -> Row:
    """Return a constraint as a row; what has no such form is kept as it is written."""
    found = operand_named(constraint.left_operand or "")
    operator = operator_named(constraint.operator or "")
    text = _text(constraint.right_operand)
    if found is None or operator is None or text is None or constraint.model_extra:
        return Row(raw=json.dumps(constraint.wire(), ensure_ascii=False))
    return Row(found[0].iri, found[1] or "", operator.value, text)


def _text(value: Any) -> str | None:
    items = value if isinstance(value, list | tuple) else [value]
    texts = [item.get("@value") if isinstance(item, dict) else item for item in items]
    whole = all(isinstance(text, str | int | float) and not isinstance(text, bool) for text in texts)
    if not whole or any("," in str(text) for text in texts):
        return None
    return ", ".join(compact_iri(str(text)) for text in texts)


def _json(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise Malformed("a constraint that is kept as it is written is no JSON object any more")
    return read


def actions_for(kind: str) -> list[Any]:
    """Return the actions that may stand in a kind of rule."""
    allowed = {"permission": "permitted", "prohibition": "prohibited", "obligation": "obliged"}[kind]
    return [action for action in ACTIONS if getattr(action, allowed)]


def operands_for(kind: str) -> list[Operand]:
    """Return the operands that may stand in a kind of rule."""
    roles = {
        "permission": (Role.USE, Role.DATA, Role.RULE, Role.BESIDE),
        "prohibition": (Role.USE, Role.BESIDE),
        "obligation": (Role.DUTY,),
    }[kind]
    found = [one for one in OPERANDS if one.role in roles]
    if kind == "prohibition":
        found += [one for one in OPERANDS if one.name.startswith(("hansa:column/", "hansa:rowSpatial/"))]
    if kind == "obligation":
        found += [one for one in OPERANDS if one.name == "odrl:dateTime"]
    return found
