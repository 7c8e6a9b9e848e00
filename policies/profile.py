"""The words of our profile: actions, operators, kinds of values, purposes; operands stand in `operands.py`.

Whatever is in neither table is refused by name when a policy is compiled.

Source: ODRL 2.2 vocabulary; our own profile (`schemas.vocab.HANSA_PROFILE`) for what ODRL lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policies.kinds.purposes import DPV_VERSION, NARROWER, ROOT
from policies.refusals.refusal import refusal
from schemas.errors import UnknownTerm
from schemas.vocab import CC, DPV, HANSA, HANSA_PROFILE, ODRL, compact_iri, expand_iri


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
    IS_ALL_OF = "isAllOf"
    IS_NONE_OF = "isNoneOf"
    IS_PART_OF = "isPartOf"


class ValueKind(StrEnum):
    """What may stand on the right side of a constraint."""

    INSTANT = "an xsd:dateTime or xsd:date, for example 2026-12-01T00:00:00Z"
    PURPOSE = "one or more DPV purposes, for example https://w3id.org/dpv#ScientificResearch"
    PARTICIPANT = "one or more participant ids, for example did:web:lab.example"
    SCALAR = "text, a number, true or false, a date or a dateTime"
    COLUMN = "one or more column names"
    ONE_COLUMN = "the name of a column"
    MASK = "'hash', 'null', 'redact', 'bucket:<number>', 'truncate:<unit>' or 'round:<digits>'"
    COUNT = "a whole number from 1"
    GROUP_SIZE = "a whole number from 2"
    UNIT = "hansa:request, hansa:epoch, hansa:row or hansa:byte"
    RATE = "rows in a period, for example 10000/PT1M"
    PERCENTAGE = "a number above 0 and up to 100"
    DURATION = "an ISO 8601 duration, for example P30D"
    DAYS = "one or more days of the week, for example Monday"
    WINDOWS = "one or more windows of the day, for example 08:00-18:00"
    ZONE = "an IANA time zone, for example Europe/Berlin"
    GROUP = "one or more groups, by name or IRI"
    CLAIM = "one or more values of the claim, as text"
    REGION = "one or more regions: ISO 3166-1 codes such as DE, or EU, EEA, EFTA, EUROPE"
    ENVIRONMENT = "secure-processing-environment, trusted-execution-environment or federated-only"
    GIVEN = "'given'"
    TRUE = "true"
    CONSEQUENCE = "'suspend' or 'terminate'"


class ValueSource(StrEnum):
    """Where the left side of a comparison comes from."""

    CLOCK = "the provider's clock"
    DECLARED = "the use, as its user declares it"
    CALLER = "the caller's verified identity"
    MEMBERS = "the signed member list"
    ATTESTED = "what the caller attested to those who sign the member list"
    DATA = "the data, row by row"
    LOG = "the usage log"
    RECEIPTS = "signed receipts of the other side"


class Point(StrEnum):
    """Where something happens on a term; a term without any is only told."""

    DECIDE = "the decision on each use"
    PLAN = "the plan of what leaves"
    COUNT = "the counts of what has left"
    REVOKE = "the revocation of an agreement"
    LEDGER = "the ledger of obligations"


class Role(StrEnum):
    """Where a constraint may stand."""

    USE = "a condition on the use, in a permission, a prohibition, and under and, or, xone"
    DATA = "a limit on the data, directly in a permission or under its 'and'"
    RULE = "a term of a permission"
    BESIDE = "beside the constraint that it explains, in the same rule"
    DUTY = "in an obligation"


@dataclass(frozen=True, slots=True)
class Operand:
    """One left operand: its spellings, its values, and where it is kept.

    `meaning` follows "this says", in English and German. `suffix` names what follows the IRI, where it
    speaks of one column or one claim. `beside` are the IRIs of the operands that it explains.
    """

    iri: str
    kind: ValueKind
    operators: tuple[Operator, ...]
    source: ValueSource
    points: tuple[Point, ...]
    meaning: tuple[str, str]
    role: Role = Role.USE
    suffix: str = ""
    beside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The short spelling, such as `odrl:purpose` or `hansa:mask/<column>`."""
        return compact_iri(self.iri) + (f"<{self.suffix}>" if self.suffix else "")

    @property
    def label(self) -> Label:
        """Who keeps it: nobody here, somebody's word that is checked, or we ourselves."""
        if not self.points or self.source is ValueSource.RECEIPTS:
            return Label.PROMISED
        spoken = self.source in (ValueSource.DECLARED, ValueSource.ATTESTED)
        return Label.SIGNING if spoken else Label.ENFORCED

    @property
    def per_column(self) -> bool:
        """Whether the name of a column follows the IRI."""
        return self.suffix == "column"


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


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ENVIRONMENTS = ("secure-processing-environment", "trusted-execution-environment", "federated-only")
"""Where data can be processed so that they do not get out."""

USE = ODRL + "use"
TRAIN = HANSA + "train"
FINE_TUNE = HANSA + "fineTune"
EVALUATE = HANSA + "evaluate"
ANALYSE = HANSA + "analyse"
RAG = HANSA + "rag"
TRAIN_GENERATIVE = HANSA + "trainGenerative"


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
    _ours(TRAIN_GENERATIVE, TRAIN, "train generative models on the data"),
    _ours(EVALUATE, USE, "evaluate models on the data"),
    _ours(ANALYSE, USE, "analyse the data"),
    _ours(RAG, USE, "look things up in the data while a model answers"),
    _promise("distribute", USE, "hand the data on to others"),
    _promise("derive", USE, "publish works derived from the data"),
    _promise("reproduce", USE, "make lasting copies of the data"),
    _promise("transfer", None, "transfer ownership of the data"),
    _promise("sell", ODRL + "transfer", "sell the data"),
    _promise("give", ODRL + "transfer", "give the data away"),
    _duty("delete", "delete the data"),
    _duty("attribute", "name the provider as the source of the data"),
    _duty("inform", "inform the provider of how the data were used"),
    _duty("nextPolicy", "hand the data on only under these same terms"),
)

PROFILES = frozenset({HANSA_PROFILE, HANSA, ODRL, ODRL + "core"})
"""The profile IRIs that a policy may name; anything else is refused."""

_ACTIONS = MappingProxyType({action.iri: action for action in ACTIONS})
_ALIASES = MappingProxyType({CC + "Attribution": ODRL + "attribute"})
_BARE_OPERANDS = frozenset(
    {"count", "dateTime", "delayPeriod", "elapsedTime", "percentage", "purpose", "spatial"}
    | {"timeInterval", "unitOfCount"}
)
_BARE = _BARE_OPERANDS | {a.iri.removeprefix(ODRL) for a in ACTIONS if ODRL in a.iri}


def expand_term(spelling: str) -> str:
    """Expand a term as a policy spells it: a bare term of ODRL that we know, a prefixed name, or an IRI."""
    return ODRL + spelling if spelling in _BARE else expand_iri(spelling)


def action_named(spelling: str) -> Action | None:
    """Look up an action as a policy spells it: an absolute IRI, a prefixed name, or a bare term of ODRL."""
    iri = expand_term(spelling)
    return _ACTIONS.get(_ALIASES.get(iri, iri))


def operator_named(spelling: str) -> Operator | None:
    """Look up an operator: a bare term, `odrl:` name or absolute IRI."""
    name = expand_iri(spelling, default=ODRL)
    short = name.removeprefix(ODRL)
    return Operator(short) if name != short and short in Operator._value2member_map_ else None


def action_iri(name: str) -> str:
    """Expand what a person writes for an action: `train`, `hansa:train`, `use` or an absolute IRI.

    Raises:
        UnknownTerm: if there is no such action; the message lists those that there are.
    """
    action = action_named(name) or _ACTIONS.get(HANSA + name)
    if action is None:
        known = ", ".join(action.name for action in ACTIONS if action.permitted)
        raise UnknownTerm(refusal("action unknown", item=repr(name[:80]), known=known))
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
    raise UnknownTerm(refusal("purpose", item=repr(name[:80]), dpv_version=DPV_VERSION, shown=shown))


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
