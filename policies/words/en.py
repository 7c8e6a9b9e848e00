"""What is said about policies, in English: one entry for each message, with its slots.

An entry of two forms is for one of a thing and for any other number of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from policies.profile import ACTIONS

UNITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "years": ("year", "years"),
        "months": ("month", "months"),
        "weeks": ("week", "weeks"),
        "days": ("day", "days"),
        "hours": ("hour", "hours"),
        "minutes": ("minute", "minutes"),
        "seconds": ("second", "seconds"),
    }
)

FORMS = ("may", "may not", "to", "not to")
"""What an action follows on: "you may", "you may not", "you promise to", "you promise not to"."""

MESSAGES: Mapping[str, str | tuple[str, str]] = MappingProxyType(
    {
        # --- small words
        "list.and": "and",
        "list.or": "or",
        "list.nor": "nor",
        "list.more": "{n} more",
        "join.and": " and ",
        "join.or": " or ",
        "join.xone": "; ",
        # --- who keeps a term
        "label.enforced here": "enforced here",
        "label.checked at signing": "checked at signing",
        "label.promised, audited": "promised, audited",
        # --- conditions: they follow on "only"
        "time.from": "from {when} on",
        "time.after": "after {when}",
        "time.before": "before {when}",
        "time.until": "up to and including {when}",
        "time.day": "on {when}",
        "time.instant": "exactly at {when}",
        "elapsed.lteq.agreement": "within {span} of the agreement",
        "elapsed.lt.agreement": "less than {span} after the agreement",
        "elapsed.lteq.delivery": "within {span} of the first delivery",
        "elapsed.lt.delivery": "less than {span} after the first delivery",
        "days": "on {days} ({zone})",
        "hours": "from {windows} ({zone})",
        "window": "{start} to {end}",
        "day.0": "Mondays",
        "day.1": "Tuesdays",
        "day.2": "Wednesdays",
        "day.3": "Thursdays",
        "day.4": "Fridays",
        "day.5": "Saturdays",
        "day.6": "Sundays",
        "purpose.exact": "for exactly the purpose {purposes}",
        "purpose.outside": "for purposes outside {purposes}",
        "purpose.under": "for a purpose under {purposes}",
        "purpose.one": "for the purpose {purposes}",
        "participant": "by {participants}",
        "group": "by members of {groups}",
        "credential": "by holders of the credential {name} with {values}",
        "region.isAnyOf": "by participants in {regions}",
        "region.eq": "by participants whose place is exactly {regions}",
        "environment": "in {environments}",
        "environment.secure-processing-environment": "a secure processing environment",
        "environment.trusted-execution-environment": "a trusted execution environment",
        "environment.federated-only": "a federation that moves no rows",
        "all": "({parts})",
        "any": "({parts})",
        "one": "under exactly one of ({parts})",
        # --- limits on the data: they follow on "you may use the data"
        "rows": "only rows whose {cell}",
        "cell.eq": "{column} is {values}",
        "cell.neq": "{column} is not {values}",
        "cell.lt": "{column} is below {values}",
        "cell.lteq": "{column} is at most {values}",
        "cell.gt": "{column} is above {values}",
        "cell.gteq": "{column} is at least {values}",
        "cell.isNoneOf": "{column} is neither {values}",
        "cell.region": "{column} lies in {regions}",
        "columns": "only the columns {columns}",
        "apart": "never the columns {columns} together, nor one after the other",
        "mask.hash": "with {column} replaced by a keyed hash",
        "mask.null": "with {column} left empty",
        "mask.redact": 'with {column} replaced by "[redacted]"',
        "mask.bucket": "with {column} rounded down to a multiple of {step}",
        "mask.truncate": "with {column} cut to the start of its {unit}",
        "mask.round": (
            "with {column} rounded to {n} decimal place",
            "with {column} rounded to {n} decimal places",
        ),
        "unit.year": "year",
        "unit.quarter": "quarter",
        "unit.month": "month",
        "unit.week": "week",
        "unit.day": "day",
        "unit.hour": "hour",
        "sample": "a sample of {percentage} % of the rows, the same rows every time",
        "anonymity": "only rows of which at least {n} share the same {columns}",
        "aggregate.rows": "no rows, only figures over groups of at least {n} rows",
        "aggregate.subject": "no rows, only figures over groups of at least {n} different {column}",
        "consent": "only rows of those in {column} who consent to your purpose",
        "limit.rows": (
            "at most {n} row over the life of the agreement",
            "at most {n} rows over the life of the agreement",
        ),
        "limit.bytes": (
            "at most {n} byte over the life of the agreement",
            "at most {n} bytes over the life of the agreement",
        ),
        "limit.request": (
            "at most {n} stream over the life of the agreement",
            "at most {n} streams over the life of the agreement",
        ),
        "limit.epoch": (
            "at most {n} pass over the data over the life of the agreement",
            "at most {n} passes over the data over the life of the agreement",
        ),
        "limit.rate": ("at most {n} row in {span}", "at most {n} rows in {span}"),
        # --- whole sentences about rules
        "for": "this is for {party} alone",
        "nothing": "nothing is permitted",
        "may": "you may {actions}",
        "only": "only {condition}",
        "receive": "you receive {limit}",
        "receive.filtered": "you receive {limit}; rows with an empty {column} are left out",
        "receive.placed": "you receive {limit}; rows without a known place are left out",
        "receive.apart": "you never receive the columns {columns} together, nor one after the other",
        "receive.masked": "you receive the data {limit}",
        "may not": "you may not {action}",
        "may not.when": "you may not {action} {conditions}",
        "may not.rows": (
            "you may not {action} as far as rows whose {cells} are concerned; such rows never leave, "
            "and an empty cell there counts too"
        ),
        "may not.rows.when": (
            "you may not {action} {conditions} as far as rows whose {cells} are concerned; such rows never "
            "leave, and an empty cell there counts too"
        ),
        "promise not": "you promise not to {action}",
        "promise not.when": "you promise not to {action} {conditions}",
        "promise": "you promise to {action}",
        "promise.due": "you promise to {action} {due}; {overdue}",
        "due.before": "before {when}",
        "due.after": "within {span} of the last delivery",
        "due.every": "every {span}",
        "overdue.suspend": "if that is overdue, the agreement is suspended",
        "overdue.terminate": "if that is overdue, the agreement ends",
        "revocable": "the holder may revoke the agreement at any time",
        "revocable.notice": "the holder may revoke the agreement, {span} ahead",
        # --- decisions
        "permitted": "the use is permitted",
        "denied": "the use is denied",
        "ends": "it ends at {when}",
        "left.rows": ("{n} more row may be released", "{n} more rows may be released"),
        "left.bytes": ("{n} more byte may be released", "{n} more bytes may be released"),
        "left.requests": ("{n} more stream may be opened", "{n} more streams may be opened"),
        "left.epochs": ("{n} more pass over the data may begin", "{n} more passes over the data may begin"),
        "plan.limit": "released: {limit}",
        "plan.masked": "released {limit}",
        "plan.branch": "part {n} of {most}",
        "plan.excluded": "never released: rows whose {cells}, and rows with an empty cell there",
        "unmet": "not met: {condition}",
        "unknown": "cannot be known: {condition}",
        "used up": "used up: {limit}",
        "forbidden": "forbidden: {rule}",
        "not permitted": "to {action} is not permitted",
        "not for you": "the policy is for {party}",
        # --- around a decision
        "note.varies": "each agreement has hashes and a sample of its own; those above belong to none",
        "note.apart": (
            "of columns that stay apart a reader chooses some; here the last of each set is left out"
        ),
        "well formed": ("well formed, {n} sentence", "well formed, {n} sentences"),
        "remedies": "the smallest changes that would make it pass:",
        "remedies.none": "no one or two changes would make it pass",
        # --- how a parameter of a template is written
        "form.time": "a dateTime like 2026-12-01T00:00:00Z, or a date for the whole day",
        "form.purposes": "one or more DPV purposes like 'ScientificResearch'",
        "form.column": "the name of a column",
        "form.columns": "one or more names of columns",
        "form.operator": "one of {operators}",
        "form.value": "text, a number, true or false, a date, or a list of them",
        "form.count": "a whole number from 1",
        "form.group_size": "a whole number from 2",
        "form.duration": "an ISO 8601 duration like P30D",
        "form.percentage": "a number above 0 and up to 100",
        "form.groups": "one or more groups, by name or IRI",
        "form.regions": "one or more regions like DE or EU",
        "form.environments": (
            "one or more of secure-processing-environment, trusted-execution-environment, federated-only"
        ),
        "form.optional": "optional",
        "form.default": "default: {value}",
        # --- changes that would make a use pass
        "change.purpose": "state the purpose {purpose}",
        "change.action": "ask to {action} only",
        "change.time": "wait until {when}",
        "change.agreement": "negotiate a new agreement",
        "change.group": "be stated as a member of {group} in the member list",
        "change.credential": "have {name} stated as {value} in the member list",
        "change.region": "be in {region}, as the member list states it",
        "change.environment": "process the data in {environment}, as the member list states it",
        "change.party": "have {party} ask",
        "change.term": "the holder leaves out: {term}",
        "change.prohibition": "the holder leaves out: {rule}",
        **{f"{form}.{action.name}": action.verb for action in ACTIONS for form in FORMS},
    }
)
