"""The words of ODRL 2.2: actions and what they lie under, operands and what they are compared with.

Source: ODRL Vocabulary & Expression 2.2. Units: QUDT, DBpedia and UCUM names in use there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from schemas.vocab import ODRL, XSD

CC = "http://creativecommons.org/ns#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CORE_PROFILE = ODRL + "core"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_UNDER_USE = _words(
    "acceptTracking aggregate annotate anonymize archive attribute compensate concurrentUse delete "
    "derive digitize distribute ensureExclusivity execute grantUse include index inform install "
    "modify move nextPolicy obtainConsent play present print read reproduce reviewPolicy stream "
    "synchronize textToSpeech transform translate uninstall watermark"
)
_CC_UNDER_USE = _words(
    "Attribution CommercialUse DerivativeWorks Distribution Notice Reproduction ShareAlike Sharing SourceCode"
)
_ALONE = _words("use transfer adHocShare extractChar extractPage extractWord lease lend preview secondaryUse")

SAME_ACTION: Mapping[str, str] = MappingProxyType(
    {
        **{ODRL + old: ODRL + "modify" for old in ("append", "appendTo", "write", "writeTo")},
        ODRL + "copy": ODRL + "reproduce",
        ODRL + "export": ODRL + "transform",
        ODRL + "license": ODRL + "grantUse",
        ODRL + "pay": ODRL + "compensate",
        ODRL + "attachPolicy": CC + "Notice",
        ODRL + "attachSource": CC + "SourceCode",
        ODRL + "commercialize": CC + "CommercialUse",
        ODRL + "share": CC + "Sharing",
        ODRL + "shareAlike": CC + "ShareAlike",
    }
)
"""Deprecated actions, and the action that the vocabulary says is exactly the same."""

INCLUDED_IN: Mapping[str, str | None] = MappingProxyType(
    {
        **{ODRL + name: ODRL + "use" for name in _UNDER_USE},
        **{CC + name: ODRL + "use" for name in _CC_UNDER_USE},
        **{ODRL + name: None for name in _ALONE},
        ODRL + "display": ODRL + "play",
        ODRL + "extract": ODRL + "reproduce",
        ODRL + "sell": ODRL + "transfer",
        ODRL + "give": ODRL + "transfer",
        **SAME_ACTION,
    }
)
"""Each action of the vocabulary, and the one that includes it."""

TIME, DURATION, NUMBER, ANY = "time", "duration", "number", "any"
OPERANDS: Mapping[str, str] = MappingProxyType(
    {
        **{ODRL + name: TIME for name in ("dateTime",)},
        **{ODRL + name: DURATION for name in ("delayPeriod", "elapsedTime", "meteredTime", "timeInterval")},
        **{
            ODRL + name: NUMBER
            for name in ("absoluteSize", "count", "payAmount", "percentage", "relativeSize", "resolution")
        },
        **{
            ODRL + name: ANY
            for name in _words(
                "absolutePosition absoluteSpatialPosition absoluteTemporalPosition deliveryChannel event "
                "fileFormat industry language media product purpose recipient relativePosition "
                "relativeSpatialPosition relativeTemporalPosition spatial spatialCoordinates systemDevice "
                "unitOfCount version virtualLocation device system"
            )
        },
    }
)
"""Each left operand of the vocabulary, and the kind of value that it takes."""

COMPARISONS = ("eq", "neq", "lt", "lteq", "gt", "gteq")
SETS = ("isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf", "isNoneOf")
OPERATORS = (*COMPARISONS, *SETS)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        ODRL + "neg": ODRL + "neq",  # how the published context misspells neq
        ODRL + "industry:": ODRL + "industry",  # likewise
        ODRL + "device": ODRL + "systemDevice",
        ODRL + "system": ODRL + "systemDevice",
    }
)
"""Harmless other spellings; each use of one is warned of."""

CLASSES: Mapping[str, str] = MappingProxyType(
    {ODRL + name: name for name in ("Policy", "Set", "Offer", "Agreement", "Request", "Assertion")}
    | {ODRL + name: name for name in ("Privacy", "Ticket")}
)
"""The classes that make a node a policy."""

FORMS = ("and", "or", "xone", "andSequence")
PARTY_FUNCTIONS = _words(
    "attributedParty attributingParty compensatedParty compensatingParty consentedParty "
    "consentingParty contractedParty contractingParty informedParty informingParty trackedParty "
    "trackingParty"
)
"""Party functions beside assigner and assignee; they name whom a duty touches and decide nothing."""

POLICY_MEMBERS = frozenset(
    _words(
        "uid profile conflict inheritFrom permission prohibition obligation target assigner assignee action"
    )
)
RULE_MEMBERS = frozenset(
    _words("uid action target assigner assignee constraint duty consequence remedy relation output function")
) | frozenset(PARTY_FUNCTIONS)
CONSTRAINT_MEMBERS = frozenset(
    _words("uid leftOperand operator rightOperand rightOperandReference unit dataType datatype status")
) | frozenset(FORMS)
PARTICIPANT_MEMBERS = frozenset(
    _words("uid source refinement partOf includedIn implies hasPolicy assigneeOf assignerOf")
)
"""What may stand in a policy, a rule, a constraint, and in an action, asset or party."""

ANNOTATIONS = (
    "http://purl.org/dc/terms/",
    "http://purl.org/dc/elements/1.1/",
    "http://www.w3.org/2000/01/rdf-schema#",
    "http://www.w3.org/2004/02/skos/core#",
    "http://www.w3.org/2002/07/owl#",
    "http://www.w3.org/2006/vcard/ns#",
    "http://xmlns.com/foaf/0.1/",
    "http://schema.org/",
    "https://schema.org/",
    "http://www.w3.org/ns/prov#",
)
"""Namespaces of properties that describe and decide nothing."""

_TERMS_AS_IRI = _words(
    "profile inheritFrom relation hasPolicy target output partOf source assignee assigner assigneeOf "
    "assignerOf includedIn implies permission prohibition obligation duty consequence remedy "
    "constraint refinement"
)
_TERMS_AS_WORD = ["conflict", "function", "action", "operator", "leftOperand"]
_TERMS_PLAIN = _words(
    "rightOperand status Rule ConflictTerm perm prohibit invalid Asset AssetCollection Party "
    "PartyCollection PartyScope Action Permission Prohibition Duty Constraint LogicalConstraint "
    "Operator RightOperand LeftOperand policyUsage unit"
)


def odrl_context() -> dict[str, object]:
    """Return a JSON-LD context that gives ODRL's short names their meaning, made from the tables above."""
    context: dict[str, object] = {
        "odrl": ODRL,
        "xsd": XSD,
        "cc": CC,
        "rdf": RDF,
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "owl": "http://www.w3.org/2002/07/owl#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "dct": "http://purl.org/dc/terms/",
        "vcard": "http://www.w3.org/2006/vcard/ns#",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "schema": "http://schema.org/",
        "uid": "@id",
        "type": "@type",
    }
    names = [iri.removeprefix(ODRL) for iri in (*INCLUDED_IN, *OPERANDS, *CLASSES) if iri.startswith(ODRL)]
    for name in (*names, *OPERATORS, *_TERMS_PLAIN, *FORMS):
        context[name] = ODRL + name
    for name in (*_TERMS_AS_IRI, *PARTY_FUNCTIONS):
        context[name] = {"@id": ODRL + name, "@type": "@id"}
    for name in _TERMS_AS_WORD:
        context[name] = {"@id": ODRL + name, "@type": "@vocab"}
    context["rightOperandReference"] = {"@id": ODRL + "rightOperandReference", "@type": "@id"}
    context["dataType"] = {"@id": ODRL + "dataType", "@type": "@id"}
    return context


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what it measures, and how many of the base unit of that it is."""

    dimension: str
    factor: Decimal


TIME_UNITS = "time"
"""The dimension of units that count durations; its base is the second."""
_SCALES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    TIME_UNITS: {
        "1": ("SEC", "Second", "s"),
        "60": ("MIN", "MinuteTime", "Minute", "min"),
        "3600": ("HR", "Hour", "h"),
        "86400": ("DAY", "Day", "d"),
    },
    "data": {
        "1": ("BYTE", "Byte", "By"),
        "1000": ("KiloBYTE", "Kilobyte"),
        "1000000": ("MegaBYTE", "Megabyte"),
        "1000000000": ("GigaBYTE", "Gigabyte"),
    },
    "length": {
        "0.001": ("MilliM", "Millimetre"),
        "0.01": ("CentiM", "Centimetre"),
        "1": ("M", "Metre", "m"),
        "1000": ("KiloM", "Kilometre"),
    },
    "dots": {"1": ("Dots_per_inch",)},
    "pixels": {"1": ("Pixel",)},
    "share": {"1": ("UNITLESS",), "0.01": ("PERCENT", "Percentage")},
    "EUR": {"1": ("Euro", "EUR", "CCY_EUR")},
    "USD": {"1": ("United_States_dollar", "USD", "CCY_USD")},
    "GBP": {"1": ("Pound_sterling", "GBP", "CCY_GBP")},
    "CHF": {"1": ("Swiss_franc", "CHF", "CCY_CHF")},
}
_UNIT_SPACES = (
    "http://dbpedia.org/resource/",
    "https://dbpedia.org/resource/",
    "http://qudt.org/vocab/unit/",
    "https://qudt.org/vocab/unit/",
    "http://unitsofmeasure.org/",
    "http://publications.europa.eu/resource/authority/currency/",
)
UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        space + name: Unit(dimension, Decimal(factor))
        for dimension, scale in _SCALES.items()
        for factor, names in scale.items()
        for name in names
        for space in _UNIT_SPACES
    }
)
"""The pinned table of units; values of other units can only be compared with the same unit."""
