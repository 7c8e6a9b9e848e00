"""The one table of the actions, operands and operators that we know.

Whatever is not in it is refused by name when a policy is compiled. Each row says how a term may be spelled,
what values it takes, where the value to compare comes from, and who keeps it: the three labels that every
page shows.

Source: ODRL 2.2 vocabulary; our own profile (`schemas.vocab.HANSA_PROFILE`) for what ODRL lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import quote, unquote

from policies.purposes import DPV_VERSION, NARROWER, ROOT
from schemas.errors import UnknownTerm
from schemas.vocab import DPV, HANSA, HANSA_PROFILE, ODRL, compact_iri, expand_iri


class Label(StrEnum):
    """Who keeps a term, in the words that every page shows; there is never a fourth."""

    ENFORCED = "enforced here"
    SIGNING = "checked at signing"
    PROMISED = "promised, audited"


class Operator(StrEnum):
    """The operators of ODRL that at least one operand here takes."""

    EQ = "eq"
    NEQ = "neq"
    LT = "lt"
    LTEQ = "lteq"
    GT = "gt"
    GTEQ = "gteq"
    IS_A = "isA"
    IS_ANY_OF = "isAnyOf"
    IS_NONE_OF = "isNoneOf"


class ValueKind(StrEnum):
    """What may stand on the right side of a constraint."""

    INSTANT = "an xsd:dateTime or xsd:date, for example 2026-12-01T00:00:00Z"
    PURPOSE = "one or more DPV purposes, for example https://w3id.org/dpv#ScientificResearch"
    PARTICIPANT = "one or more participant ids, for example did:web:lab.example"
    SCALAR = "text, a number, true or false, a date or a dateTime"
    COLUMN = "one or more column names"
    MASK = "'hash' or 'null'"
    COUNT = "a whole number from 1"


class ValueSource(StrEnum):
    """Where the left side of a comparison comes from."""

    CLOCK = "the provider's clock"
    DECLARED = "the use, as its user declares it"
    CALLER = "the caller's verified identity"
    DATA = "the data, row by row"
    LOG = "the usage log"


_ORDERED = (Operator.EQ, Operator.NEQ, Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ)
_SETS = (Operator.IS_ANY_OF, Operator.IS_NONE_OF)


@dataclass(frozen=True, slots=True)
class Operand:
    """One left operand: its spellings, its values, and where it is kept."""

    iri: str
    kind: ValueKind
    operators: tuple[Operator, ...]
    source: ValueSource
    label: Label
    meaning: str
    on_data: bool = False
    per_column: bool = False

    @property
    def name(self) -> str:
        """The short spelling, such as `odrl:purpose` or `hansa:mask/<column>`."""
        return compact_iri(self.iri) + ("<column>" if self.per_column else "")


DATE_TIME = Operand(
    ODRL + "dateTime",
    ValueKind.INSTANT,
    (Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ, Operator.EQ),
    ValueSource.CLOCK,
    Label.ENFORCED,
    "when the data may be used",
)
PURPOSE = Operand(
    ODRL + "purpose",
    ValueKind.PURPOSE,
    (Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_NONE_OF, Operator.EQ),
    ValueSource.DECLARED,
    Label.SIGNING,
    "what the data may be used for",
)
PARTICIPANT = Operand(
    HANSA + "participant",
    ValueKind.PARTICIPANT,
    (Operator.IS_ANY_OF, Operator.EQ),
    ValueSource.CALLER,
    Label.ENFORCED,
    "who may use the data",
)
COLUMN = Operand(
    HANSA + "column/",
    ValueKind.SCALAR,
    _ORDERED + _SETS,
    ValueSource.DATA,
    Label.ENFORCED,
    "which rows are released, by the value of a column",
    on_data=True,
    per_column=True,
)
COLUMNS = Operand(
    HANSA + "columns",
    ValueKind.COLUMN,
    (Operator.IS_ANY_OF,),
    ValueSource.DATA,
    Label.ENFORCED,
    "which columns are released; all others are hidden",
    on_data=True,
)
MASK = Operand(
    HANSA + "mask/",
    ValueKind.MASK,
    (Operator.EQ,),
    ValueSource.DATA,
    Label.ENFORCED,
    "how the values of a column are masked",
    on_data=True,
    per_column=True,
)
ROW_COUNT = Operand(
    HANSA + "rowCount",
    ValueKind.COUNT,
    (Operator.LTEQ,),
    ValueSource.LOG,
    Label.ENFORCED,
    "how many rows are released over the life of the agreement",
    on_data=True,
)

OPERANDS: tuple[Operand, ...] = (DATE_TIME, PURPOSE, PARTICIPANT, COLUMN, COLUMNS, MASK, ROW_COUNT)


@dataclass(frozen=True, slots=True)
class Action:
    """One action: what it lies under, in which rules it may stand, and who keeps it.

    `verb` follows "you may" and "you promise not to".
    """

    iri: str
    parent: str | None
    verb: str
    label: Label
    permitted: bool = False
    prohibited: bool = False
    obliged: bool = False

    @property
    def name(self) -> str:
        """The short spelling, such as `hansa:train`."""
        return compact_iri(self.iri)


USE = ODRL + "use"
TRAIN = HANSA + "train"
FINE_TUNE = HANSA + "fineTune"
EVALUATE = HANSA + "evaluate"
ANALYSE = HANSA + "analyse"


def _ours(iri: str, parent: str | None, verb: str, label: Label = Label.SIGNING) -> Action:
    return Action(iri, parent, verb, label, permitted=True, prohibited=True)


def _promise(name: str, parent: str | None, verb: str) -> Action:
    return Action(ODRL + name, parent, verb, Label.PROMISED, prohibited=True)


def _duty(name: str, verb: str) -> Action:
    return Action(ODRL + name, USE, verb, Label.PROMISED, obliged=True)


ACTIONS: tuple[Action, ...] = (
    _ours(USE, None, "use the data", Label.ENFORCED),
    _ours(TRAIN, USE, "train or fine-tune models on the data"),
    _ours(FINE_TUNE, TRAIN, "fine-tune existing models on the data"),
    _ours(EVALUATE, USE, "evaluate models on the data"),
    _ours(ANALYSE, USE, "analyse the data"),
    _promise("distribute", USE, "hand the data on to others"),
    _promise("derive", USE, "publish works derived from the data"),
    _promise("reproduce", USE, "make lasting copies of the data"),
    _promise("transfer", None, "transfer ownership of the data"),
    _promise("sell", ODRL + "transfer", "sell the data"),
    _promise("give", ODRL + "transfer", "give the data away"),
    _duty("delete", "delete the data"),
    _duty("attribute", "name the provider as the source of the data"),
    _duty("inform", "inform the provider of how the data were used"),
)

PROFILES = frozenset({HANSA_PROFILE, HANSA, ODRL, ODRL + "core"})
"""The profile IRIs that a policy may name; anything else is refused."""

_OPERANDS = MappingProxyType({operand.iri: operand for operand in OPERANDS})
_ACTIONS = MappingProxyType({action.iri: action for action in ACTIONS})
_BARE = frozenset({"dateTime", "purpose"}) | {a.iri.removeprefix(ODRL) for a in ACTIONS if ODRL in a.iri}


def _expand(spelling: str) -> str:
    return ODRL + spelling if spelling in _BARE else expand_iri(spelling)


def operand_named(spelling: str) -> tuple[Operand, str | None] | None:
    """Look up a left operand, with the column that it speaks of where it speaks of one."""
    iri = _expand(spelling)
    for operand in (COLUMN, MASK):
        if iri.startswith(operand.iri):
            column = unquote(iri[len(operand.iri) :], errors="replace")
            return (operand, column) if column else None
    found = _OPERANDS.get(iri)
    return (found, None) if found is not None and not found.per_column else None


def action_named(spelling: str) -> Action | None:
    """Look up an action as a policy spells it: an absolute IRI, a prefixed name, or a bare term of ODRL."""
    return _ACTIONS.get(_expand(spelling))


def operator_named(spelling: str) -> Operator | None:
    """Look up an operator: a bare term, `odrl:` name or absolute IRI."""
    name = expand_iri(spelling, default=ODRL)
    short = name.removeprefix(ODRL)
    return Operator(short) if name != short and short in Operator._value2member_map_ else None


def column_operand(column: str) -> str:
    """Return the left operand of a row filter on a column, as it travels."""
    return COLUMN.iri + quote(column, safe="")


def mask_operand(column: str) -> str:
    """Return the left operand of a mask on a column, as it travels."""
    return MASK.iri + quote(column, safe="")


def action_iri(name: str) -> str:
    """Expand what a person writes for an action: `train`, `hansa:train`, `use` or an absolute IRI.

    Raises:
        UnknownTerm: if there is no such action; the message lists those that there are.
    """
    action = action_named(name) or _ACTIONS.get(HANSA + name)
    if action is None:
        known = ", ".join(action.name for action in ACTIONS if action.permitted)
        raise UnknownTerm(f"unknown action {name[:80]!r}; known: {known}")
    return action.iri


def is_action_within(action: str, allowed: str) -> bool:
    """Say whether an action is `allowed` or lies under it; unknown actions lie under nothing."""
    return allowed in _ABOVE_ACTION.get(action, frozenset())


def action_of(iri: str) -> Action | None:
    """Return the row of an action by its absolute IRI."""
    return _ACTIONS.get(iri)


def _closure(parents: Mapping[str, tuple[str, ...]]) -> Mapping[str, frozenset[str]]:
    """For each term: itself and everything above it."""

    def above(term: str) -> frozenset[str]:
        return frozenset({term}).union(*(above(parent) for parent in parents[term]))

    return MappingProxyType({term: above(term) for term in parents})


_ABOVE_ACTION = _closure({a.iri: (a.parent,) if a.parent is not None else () for a in ACTIONS})


def _purpose_parents() -> dict[str, tuple[str, ...]]:
    parents: dict[str, tuple[str, ...]] = {DPV + ROOT: ()}
    for parent, children in NARROWER.items():
        for child in children:
            parents[DPV + child] = (*parents.get(DPV + child, ()), DPV + parent)
    return parents


_ABOVE = _closure(_purpose_parents())
_BELOW: Mapping[str, frozenset[str]] = MappingProxyType(
    {allowed: frozenset(term for term, above in _ABOVE.items() if allowed in above) for allowed in _ABOVE}
)

PURPOSES: tuple[str, ...] = tuple(sorted(_ABOVE))
"""Every purpose that we know, as absolute IRIs."""


def purpose_iri(name: str) -> str:
    """Expand what a person writes for a purpose: `ScientificResearch`, `dpv:ScientificResearch` or the IRI.

    Raises:
        UnknownTerm: if the pinned vocabulary has no such purpose; the message names near ones.
    """
    iri = expand_iri(name, default=DPV)
    if iri in _ABOVE:
        return iri
    wanted = iri.removeprefix(DPV).lower()
    near = [term for term in PURPOSES if wanted and wanted in term.removeprefix(DPV).lower()][:5]
    shown = ", ".join(compact_iri(term) for term in near or sorted(DPV + child for child in NARROWER[ROOT]))
    raise UnknownTerm(f"{name[:80]!r} is not a purpose of {DPV_VERSION}; known: {shown}")


def is_narrower_or_equal(purpose: str, allowed: str) -> bool:
    """Say whether a purpose is `allowed` or lies under it; an unknown purpose lies under nothing."""
    return allowed in _ABOVE.get(purpose, frozenset())


def is_purpose(iri: str) -> bool:
    """Say whether the pinned vocabulary has this purpose."""
    return iri in _ABOVE


def do_purposes_overlap(one: str, other: str) -> bool:
    """Say whether something lies under both purposes, so that stating one leaves the other open."""
    return not _BELOW.get(one, frozenset()).isdisjoint(_BELOW.get(other, frozenset()))


def has_narrower(purpose: str) -> bool:
    """Say whether any purpose lies under this one."""
    return len(_BELOW.get(purpose, ())) > 1
