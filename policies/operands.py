"""The one table of left operands: what a constraint may speak of, how, and where it is kept.

A row says which values and operators an operand takes, where the value to compare comes from, and at which
points something happens on it. Its label follows from these two; nobody writes a label down.

Source: ODRL 2.2 vocabulary; our own profile (`schemas.vocab.HANSA_PROFILE`) for what ODRL lacks.
"""

from __future__ import annotations

from types import MappingProxyType
from urllib.parse import quote, unquote

from policies.profile import Operand, Operator, Point, Role, ValueKind, ValueSource, expand_term
from schemas.vocab import HANSA, ODRL

_SETS = (Operator.IS_ANY_OF, Operator.IS_NONE_OF)
_EQ = (Operator.EQ,)
_ANY = (Operator.IS_ANY_OF, Operator.EQ)
_ALL = (Operator.IS_ALL_OF,)
_MOST = (Operator.LTEQ, Operator.LT)
_PARTS = (Operator.IS_PART_OF, Operator.IS_ANY_OF, Operator.EQ)
_ORDERED = (Operator.EQ, Operator.NEQ, Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ)

_DECIDE = (Point.DECIDE,)
_PLAN = (Point.PLAN,)
_COUNT = (Point.DECIDE, Point.COUNT)

# --- conditions on the use -----------------------------------------------------------------------------

DATE_TIME = Operand(
    ODRL + "dateTime",
    ValueKind.INSTANT,
    (Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ, Operator.EQ),
    ValueSource.CLOCK,
    _DECIDE,
    ("when the data may be used", "wann die Daten genutzt werden dürfen"),
)
ELAPSED = Operand(
    ODRL + "elapsedTime",
    ValueKind.DURATION,
    _MOST,
    ValueSource.CLOCK,
    _DECIDE,
    (
        "how long after the agreement the data may be used",
        "wie lange nach der Vereinbarung genutzt werden darf",
    ),
)
ELAPSED_SINCE_DELIVERY = Operand(
    HANSA + "elapsedSinceDelivery",
    ValueKind.DURATION,
    _MOST,
    ValueSource.CLOCK,
    _DECIDE,
    (
        "how long after the first delivery the data may be used",
        "wie lange nach der ersten Lieferung genutzt werden darf",
    ),
)
DAY_OF_WEEK = Operand(
    HANSA + "dayOfWeek",
    ValueKind.DAYS,
    _ANY,
    ValueSource.CLOCK,
    _DECIDE,
    ("on which days of the week the data may be used", "an welchen Wochentagen genutzt werden darf"),
)
TIME_OF_DAY = Operand(
    HANSA + "timeOfDay",
    ValueKind.WINDOWS,
    _ANY,
    ValueSource.CLOCK,
    _DECIDE,
    ("at which times of the day the data may be used", "zu welchen Tageszeiten genutzt werden darf"),
)
TIME_ZONE = Operand(
    HANSA + "timeZone",
    ValueKind.ZONE,
    _EQ,
    ValueSource.CLOCK,
    _DECIDE,
    (
        "the time zone of days and times of the day (UTC unless stated)",
        "die Zeitzone der Wochentage und Tageszeiten (ohne Angabe UTC)",
    ),
    Role.BESIDE,
    beside=(HANSA + "timeOfDay", HANSA + "dayOfWeek"),
)
PURPOSE = Operand(
    ODRL + "purpose",
    ValueKind.PURPOSE,
    (Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_NONE_OF, Operator.EQ),
    ValueSource.DECLARED,
    _DECIDE,
    ("what the data may be used for", "wofür die Daten genutzt werden dürfen"),
)
PARTICIPANT = Operand(
    HANSA + "participant",
    ValueKind.PARTICIPANT,
    _ANY,
    ValueSource.CALLER,
    _DECIDE,
    ("who may use the data", "wer die Daten nutzen darf"),
)
PARTICIPANT_GROUP = Operand(
    HANSA + "participantGroup",
    ValueKind.GROUP,
    (Operator.IS_PART_OF, Operator.IS_ANY_OF),
    ValueSource.MEMBERS,
    _DECIDE,
    ("which groups of participants may use the data", "welche Gruppen von Teilnehmern nutzen dürfen"),
)
CREDENTIAL = Operand(
    HANSA + "credential/",
    ValueKind.CLAIM,
    _ANY,
    ValueSource.MEMBERS,
    _DECIDE,
    (
        "what the authority must state of those who use the data",
        "was die Aufsicht über die Nutzenden aussagen muss",
    ),
    suffix="claim",
)
SPATIAL = Operand(
    ODRL + "spatial",
    ValueKind.REGION,
    _PARTS,
    ValueSource.ATTESTED,
    _DECIDE,
    ("where those who use the data must be", "wo die Nutzenden ansässig sein müssen"),
)
ENVIRONMENT = Operand(
    HANSA + "environment",
    ValueKind.ENVIRONMENT,
    _ANY,
    ValueSource.ATTESTED,
    _DECIDE,
    ("in which environment the data may be processed", "in welcher Umgebung verarbeitet werden darf"),
)

# --- terms of a permission, and what stands beside others ---------------------------------------------

REVOCABLE = Operand(
    HANSA + "revocable",
    ValueKind.TRUE,
    _EQ,
    ValueSource.LOG,
    (Point.REVOKE,),
    ("that the holder may revoke the agreement", "dass die Vereinbarung widerrufen werden kann"),
    Role.RULE,
)
NOTICE = Operand(
    HANSA + "notice",
    ValueKind.DURATION,
    _EQ,
    ValueSource.CLOCK,
    (Point.REVOKE,),
    (
        "how long before it takes effect a revocation is told",
        "wie lange vorher ein Widerruf angekündigt wird",
    ),
    Role.BESIDE,
    beside=(HANSA + "revocable",),
)

# --- counted over the life of an agreement --------------------------------------------------------------

COUNT = Operand(
    ODRL + "count",
    ValueKind.COUNT,
    _MOST,
    ValueSource.LOG,
    _COUNT,
    (
        "how many requests, epochs, rows or bytes are allowed",
        "wie viele Abrufe, Epochen, Zeilen oder Bytes erlaubt sind",
    ),
    Role.DATA,
)
UNIT_OF_COUNT = Operand(
    ODRL + "unitOfCount",
    ValueKind.UNIT,
    _EQ,
    ValueSource.LOG,
    _COUNT,
    ("what a count counts (requests unless stated)", "was gezählt wird (ohne Angabe Abrufe)"),
    Role.BESIDE,
    beside=(ODRL + "count",),
)
ROW_COUNT = Operand(
    HANSA + "rowCount",
    ValueKind.COUNT,
    (Operator.LTEQ,),
    ValueSource.LOG,
    _COUNT,
    (
        "how many rows are released over the life of the agreement",
        "wie viele Zeilen über die Laufzeit der Vereinbarung herausgegeben werden",
    ),
    Role.DATA,
)
BYTE_COUNT = Operand(
    HANSA + "byteCount",
    ValueKind.COUNT,
    (Operator.LTEQ,),
    ValueSource.LOG,
    _COUNT,
    (
        "how many bytes are released over the life of the agreement",
        "wie viele Bytes über die Laufzeit der Vereinbarung herausgegeben werden",
    ),
    Role.DATA,
)
RATE = Operand(
    HANSA + "rate",
    ValueKind.RATE,
    (Operator.LTEQ,),
    ValueSource.LOG,
    (Point.COUNT,),
    ("how many rows are released in a period", "wie viele Zeilen je Zeitraum herausgegeben werden"),
    Role.DATA,
)

# --- which rows, which columns, in which form ---------------------------------------------------------

COLUMN = Operand(
    HANSA + "column/",
    ValueKind.SCALAR,
    _ORDERED + _SETS,
    ValueSource.DATA,
    _PLAN,
    (
        "which rows are released, by the value of a column",
        "welche Zeilen herausgegeben werden, nach dem Wert einer Spalte",
    ),
    Role.DATA,
    suffix="column",
)
ROW_SPATIAL = Operand(
    HANSA + "rowSpatial/",
    ValueKind.REGION,
    (Operator.IS_PART_OF, Operator.IS_ANY_OF),
    ValueSource.DATA,
    _PLAN,
    (
        "which rows are released, by the region that a column names",
        "welche Zeilen herausgegeben werden, nach der Region in einer Spalte",
    ),
    Role.DATA,
    suffix="column",
)
COLUMNS = Operand(
    HANSA + "columns",
    ValueKind.COLUMN,
    (Operator.IS_ANY_OF,),
    ValueSource.DATA,
    _PLAN,
    (
        "which columns are released; all others are hidden",
        "welche Spalten herausgegeben werden; alle anderen bleiben verborgen",
    ),
    Role.DATA,
)
MASK = Operand(
    HANSA + "mask/",
    ValueKind.MASK,
    _EQ,
    ValueSource.DATA,
    _PLAN,
    ("how the values of a column are masked", "wie die Werte einer Spalte maskiert werden"),
    Role.DATA,
    suffix="column",
)
NOT_TOGETHER = Operand(
    HANSA + "notTogether",
    ValueKind.COLUMN,
    _ALL,
    ValueSource.DATA,
    _PLAN,
    (
        "which columns are never released together",
        "welche Spalten nie gemeinsam herausgegeben werden",
    ),
    Role.DATA,
)
PERCENTAGE = Operand(
    ODRL + "percentage",
    ValueKind.PERCENTAGE,
    (Operator.LTEQ,),
    ValueSource.DATA,
    _PLAN,
    ("how many percent of the rows are released", "wie viel Prozent der Zeilen herausgegeben werden"),
    Role.DATA,
)
K_ANONYMITY = Operand(
    HANSA + "kAnonymity",
    ValueKind.GROUP_SIZE,
    (Operator.GTEQ,),
    ValueSource.DATA,
    _PLAN,
    (
        "how many rows must share the same quasi-identifiers to be released",
        "wie viele Zeilen dieselben Quasi-Identifikatoren haben müssen",
    ),
    Role.DATA,
)
QUASI_IDENTIFIERS = Operand(
    HANSA + "quasiIdentifiers",
    ValueKind.COLUMN,
    _ALL,
    ValueSource.DATA,
    _PLAN,
    ("which columns together could tell who a row is about", "welche Spalten zusammen eine Person verraten"),
    Role.BESIDE,
    beside=(HANSA + "kAnonymity",),
)
AGGREGATE_ONLY = Operand(
    HANSA + "aggregateOnly",
    ValueKind.TRUE,
    _EQ,
    ValueSource.DATA,
    _PLAN,
    (
        "that only statistics over groups are released",
        "dass nur Statistiken über Gruppen herausgegeben werden",
    ),
    Role.DATA,
)
MIN_GROUP_SIZE = Operand(
    HANSA + "minGroupSize",
    ValueKind.GROUP_SIZE,
    (Operator.GTEQ,),
    ValueSource.DATA,
    _PLAN,
    ("how large a group must be to be counted", "wie groß eine Gruppe sein muss, um gezählt zu werden"),
    Role.BESIDE,
    beside=(HANSA + "aggregateOnly",),
)
SUBJECT = Operand(
    HANSA + "subject",
    ValueKind.ONE_COLUMN,
    _EQ,
    ValueSource.DATA,
    _PLAN,
    ("which column says whom a row is about", "welche Spalte sagt, um wen es geht"),
    Role.BESIDE,
    beside=(HANSA + "aggregateOnly",),
)
CONSENT = Operand(
    HANSA + "consent/",
    ValueKind.GIVEN,
    _EQ,
    ValueSource.DATA,
    _PLAN,
    (
        "that rows are released only where their subject consents",
        "dass Zeilen nur mit Einwilligung der Betroffenen herausgegeben werden",
    ),
    Role.DATA,
    suffix="column",
)

# --- obligations ------------------------------------------------------------------------------------------

DELAY_PERIOD = Operand(
    ODRL + "delayPeriod",
    ValueKind.DURATION,
    (Operator.LTEQ,),
    ValueSource.RECEIPTS,
    (Point.LEDGER,),
    (
        "how long after the last delivery an obligation is due",
        "wie lange nach der letzten Lieferung eine Pflicht fällig ist",
    ),
    Role.DUTY,
)
TIME_INTERVAL = Operand(
    ODRL + "timeInterval",
    ValueKind.DURATION,
    _EQ,
    ValueSource.RECEIPTS,
    (Point.LEDGER,),
    ("how often an obligation is due", "wie oft eine Pflicht fällig ist"),
    Role.DUTY,
)
CONSEQUENCE = Operand(
    HANSA + "consequence",
    ValueKind.CONSEQUENCE,
    _EQ,
    ValueSource.LOG,
    (Point.LEDGER,),
    ("what happens when an obligation is overdue", "was geschieht, wenn eine Pflicht überfällig ist"),
    Role.DUTY,
)

OPERANDS: tuple[Operand, ...] = (
    DATE_TIME,
    ELAPSED,
    ELAPSED_SINCE_DELIVERY,
    DAY_OF_WEEK,
    TIME_OF_DAY,
    TIME_ZONE,
    PURPOSE,
    PARTICIPANT,
    PARTICIPANT_GROUP,
    CREDENTIAL,
    SPATIAL,
    ENVIRONMENT,
    REVOCABLE,
    NOTICE,
    COUNT,
    UNIT_OF_COUNT,
    ROW_COUNT,
    BYTE_COUNT,
    RATE,
    COLUMN,
    ROW_SPATIAL,
    COLUMNS,
    MASK,
    NOT_TOGETHER,
    PERCENTAGE,
    K_ANONYMITY,
    QUASI_IDENTIFIERS,
    AGGREGATE_ONLY,
    MIN_GROUP_SIZE,
    SUBJECT,
    CONSENT,
    DELAY_PERIOD,
    TIME_INTERVAL,
    CONSEQUENCE,
)
"""Every operand, in the order in which people read of them."""

_OPERANDS = MappingProxyType({operand.iri: operand for operand in OPERANDS if not operand.suffix})
_SUFFIXED = tuple(operand for operand in OPERANDS if operand.suffix)


def operand_named(spelling: str) -> tuple[Operand, str | None] | None:
    """Look up a left operand, with the column or claim that it speaks of where it speaks of one."""
    iri = expand_term(spelling)
    for operand in _SUFFIXED:
        if iri.startswith(operand.iri):
            named = unquote(iri[len(operand.iri) :], errors="replace")
            return (operand, named) if named else None
    found = _OPERANDS.get(iri)
    return (found, None) if found is not None else None


def operand_for(operand: Operand, named: str) -> str:
    """Return the left operand that speaks of one column or claim, as it travels."""
    return operand.iri + quote(named, safe="")


def column_operand(column: str) -> str:
    """Return the left operand of a row filter on a column, as it travels."""
    return operand_for(COLUMN, column)


def mask_operand(column: str) -> str:
    """Return the left operand of a mask on a column, as it travels."""
    return operand_for(MASK, column)
