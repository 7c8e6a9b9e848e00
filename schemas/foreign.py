"""The quirks of peers, each a named rule with its source; they are taken in where foreign documents enter.

| rule | what peers do | where it is taken in | source |
|---|---|---|---|
| companion contexts | EDC names its own context beside DSP's | `COMPANIONS` | EDC 0.15.1 |
| inline contexts | extensions of EDC add an inline object of prefixes | `jsonld.compact_form` | EDC 0.15.1 |
| relative ids | pids, datasets and services are UUIDs and bare names | `jsonld.compact_form` | EDC 0.15.1 |
| query always sent | every catalogue request carries a `QuerySpec` | `read_query_spec` | EDC 0.15.1 |
| pages by offset | a crawler asks for 100 at a time until a short page | `Query` | EDC 0.18 |
| `prev` | links back say `rel="prev"`, DSP says `previous` | `linked` | EDC 0.15.1 |
| named by IRI | properties named by IRI, and no `endpoint` | `spellings` | EDC 0.18 |
| said and known | a repeat of what was taken is refused (EDC: 409) | `outbox.refusal` | DSP §6; EDC 0.15.1 |
| repeats in texts | EDC asks for an offer with its right operands as texts | `as_repeated` | EDC 0.15.1 |
| said, then saved | until a peer saved what it said, what follows is lost | `time_to_save` | EDC 0.15.1 |
| said, then saved | or is refused | `outbox` | EDC 0.15.1: 409 |
| doors first | a peer that starts refuses everything for a moment | `outbox` | EDC 0.14.0: 405 |
| resumes by asking | a consumer's start waits for the provider's | `asks_to_resume` | EDC 0.15.1 |
| any 2xx | 200 where the binding says 201 | `binding.client.Reply.ok` | EDC 0.15.1 |
| repeats by `@id` | a message is repeated under the same `@id` | the rooms (`seen`) | EDC 0.15.1 |
| empty policies | offers without a rule, and empty arrays | `odrl.Policy` | EDC 0.15.1 |
| bare errors | error bodies without process ids | couriers read plain JSON | EDC 0.15.1 |

Pure: values in, values out. What is not in the table is not tolerated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas.errors import Malformed
from schemas.vocab import DSP_ODRL_CONTEXT, EDC, expand_iri

# --- companion contexts ------------------------------------------------------------------------------

EDC_CONTEXT = "https://w3id.org/edc/dspace/v0.0.1"
ODRL_CONTEXT = "http://www.w3.org/ns/odrl.jsonld"
COMPANIONS = frozenset({DSP_ODRL_CONTEXT, EDC_CONTEXT, ODRL_CONTEXT})
"""Contexts that peers name beside DSP's; they change no term that we read."""

# --- named by IRI ------------------------------------------------------------------------------------


def spellings(name: str) -> tuple[str, ...]:
    """Return the names under which peers write an endpoint property: short, by EDC's IRI, by its prefix."""
    return (name, EDC + name, f"edc:{name}")


# --- links between pages -----------------------------------------------------------------------------

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))', re.IGNORECASE)
_RELS = {"next": frozenset({"next"}), "previous": frozenset({"previous", "prev"})}


def linked(header: str, rel: str) -> str | None:
    """Return the target of `rel="next"` or `rel="previous"` in a Link header (RFC 8288)."""
    for target, parameters in _LINK.findall(header):
        said = _REL.search(parameters)
        if said and _RELS[rel] & set((said.group(1) or said.group(2) or "").lower().split()):
            return str(target)
    return None


# --- said, then saved --------------------------------------------------------------------------------

_TIME_TO_SAVE = 0.3


def time_to_save(contexts: Sequence[str]) -> float:
    """Return for how many seconds a peer is not answered, so that it can save what it said.

    EDC saves the state that its message leads to only once it has our answer to it, over whatever came in
    between: what we say at once is lost there, and the process stuck.
    """
    return _TIME_TO_SAVE if EDC_CONTEXT in contexts else 0.0


# --- resumes by asking -------------------------------------------------------------------------------


def asks_to_resume(contexts: Sequence[str]) -> bool:
    """Say whether a consumer that resumes a transfer waits for the provider's own start.

    DSP lets either side resume. EDC's consumer rests in a state of its own, RESUMED, until the provider
    starts.
    """
    return EDC_CONTEXT in contexts


# --- repeats in texts --------------------------------------------------------------------------------

MOST_OPERAND = 1 << 16
"""Characters of a right operand that are looked into."""
_NOT_REPEATED = "profile"


def as_repeated(terms: Any) -> Any:
    r"""Return the terms of a policy such that an offer and what EDC makes of it are the same.

    EDC keeps a right operand as one text. What it read as a number, a typed value, a list or an id it
    sends back as a text: `10` as `"10"`, `["a", "b"]` as `"[{\"@value\":\"a\"},{\"@value\":\"b\"}]"`,
    `{"@id": "x:y"}` as `"{\"@id\":\"x:y\"}"`; of `["a"]` it sends `"a"`. A profile it does not send back.

    Whether something was a number is lost: only who gave an offer, and answers in its own words, may
    compare so.
    """
    if isinstance(terms, list):
        return [as_repeated(item) for item in terms]
    if not isinstance(terms, Mapping):
        return terms
    return {
        key: _operand(item) if key == "rightOperand" else as_repeated(item)
        for key, item in terms.items()
        if key != _NOT_REPEATED
    }


def _operand(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _unpacked(value)
    return tuple(_text(item) for item in (value if isinstance(value, list) else [value]))


def _unpacked(text: str) -> Any:
    """Return what a text holds if it is JSON-LD that was made a text, else the text."""
    if not text.startswith(("[{", "{")) or len(text) > MOST_OPERAND:
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    nodes = found if isinstance(found, list) else [found]
    fits = all(isinstance(node, dict) and ("@value" in node or "@id" in node) for node in nodes)
    return found if fits else text


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        if "@value" in value:
            return _text(value["@value"])
        return expand_iri(str(value["@id"])) if "@id" in value else json.dumps(value, sort_keys=True)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- query always sent -------------------------------------------------------------------------------

MOST_OFFSET = 10_000_000
MOST_IDS = 100
MOST_IDS_TEXT = 4000
"""Ids of one criterion, and their characters together: they travel in page links."""
MOST_TEXT = 200
_ID_NAMES = frozenset({"id", "@id", *spellings("id")})
_TEXT_NAMES = frozenset({"text", *spellings("text")})
SUPPORTED = (
    "supported: QuerySpec with offset, limit, sortField 'id' ascending, and the criteria "
    "id =, id in, id like, text like"
)


@dataclass(frozen=True)
class Query:
    """What a QuerySpec asks for; a member that is None asks nothing.

    `like` is a pattern for the id in which `%` stands for any text and `_` for any one character.
    """

    offset: int = 0
    limit: int | None = None
    ids: tuple[str, ...] | None = None
    like: str | None = None
    text: str | None = None


def is_query_spec(item: Mapping[str, Any]) -> bool:
    """Say whether a filter object is EDC's QuerySpec, whatever its type is written with."""
    return str(item.get("@type")) in ("QuerySpec", EDC + "QuerySpec", "edc:QuerySpec")


def once_only(filters: Sequence[Any]) -> None:
    """Make sure that a request has one QuerySpec at most: the second would hide what the first asks for.

    Raises:
        Malformed: saying how many there are.
    """
    count = sum(isinstance(item, Mapping) and is_query_spec(item) for item in filters)
    if count > 1:
        raise Malformed(f"filter: {count} QuerySpecs; put their criteria into one")


def read_query_spec(item: Mapping[str, Any]) -> Query:
    """Read EDC's QuerySpec.

    Raises:
        Malformed: naming the member or criterion that is not supported, and what is.
    """
    said = _bare(item)
    if field := said.get("sortField"):
        order = said.get("sortOrder", "ASC")
        if field not in _ID_NAMES or order != "ASC":
            raise _unsupported(f"sorting by {str(field)[:80]!r} {str(order)[:20]!r}")
    query = Query(
        offset=whole("offset", said.get("offset", 0), MOST_OFFSET),
        limit=None if said.get("limit") is None else positive("limit", said["limit"]),
    )
    criteria = said.get("filterExpression") or []
    for criterion in criteria if isinstance(criteria, list) else [criteria]:
        query = _narrowed(query, criterion)
    return query


def _narrowed(query: Query, criterion: Any) -> Query:
    said = _bare(criterion) if isinstance(criterion, Mapping) else {}
    left, operator, right = (_plain(said.get(name)) for name in ("operandLeft", "operator", "operandRight"))
    verb = str(operator).lower()
    if left in _ID_NAMES and verb in ("=", "eq") and isinstance(right, str):
        return replace(query, ids=_both(query.ids, bounded_ids((right,))))
    if left in _ID_NAMES and verb == "in":
        listed = tuple(map(_plain, right)) if isinstance(right, list | tuple) else (right,)
        if all(isinstance(one, str) for one in listed):
            return replace(query, ids=_both(query.ids, bounded_ids(listed)))
    if left in _ID_NAMES and verb == "like" and isinstance(right, str) and query.like in (None, right):
        return replace(query, like=short("id like", right))
    if left in _TEXT_NAMES and verb in ("like", "ilike") and isinstance(right, str) and query.text is None:
        words = right.removeprefix("%").removesuffix("%")
        if "%" not in words and "_" not in words:
            return replace(query, text=short("text", words))
    raise _unsupported(f"criterion {str(left)[:80]!r} {str(operator)[:20]!r} {str(right)[:80]!r}")


def bounded_ids(ids: Sequence[str]) -> tuple[str, ...]:
    """Return ids that are few and short enough to be asked for at once.

    Raises:
        Malformed: naming both sizes.
    """
    size = sum(map(len, ids))
    if len(ids) > MOST_IDS or size > MOST_IDS_TEXT:
        raise Malformed(
            f"filter: {len(ids)} ids of {size} characters; at most {MOST_IDS} of {MOST_IDS_TEXT} together"
        )
    return tuple(ids)


def _both(before: tuple[str, ...] | None, now: Iterable[str]) -> tuple[str, ...]:
    """Criteria hold together, so only what both list is asked for."""
    wanted = dict.fromkeys(now)
    return tuple(wanted if before is None else (one for one in before if one in wanted))


def _bare(item: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).removeprefix(EDC).removeprefix("edc:"): value for key, value in item.items()}


def _plain(value: Any) -> Any:
    return value.get("@value", value.get("@id")) if isinstance(value, Mapping) else value


def short(name: str, value: str) -> str:
    """Return a text that is short enough to be looked for.

    Raises:
        Malformed: naming both sizes.
    """
    if len(value) > MOST_TEXT:
        raise Malformed(f"filter: {name} of {len(value)} characters; at most {MOST_TEXT}")
    return value


def whole(name: str, value: Any, most: int) -> int:
    """Return a whole number from 0 to `most`.

    Raises:
        Malformed: naming the value and its bounds.
    """
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, int) or not 0 <= plain <= most:
        raise Malformed(f"filter: {name} is {str(plain)[:40]!r}; expected a whole number up to {most}")
    return plain


def positive(name: str, value: Any) -> int:
    """Return a whole number from 1 on.

    Raises:
        Malformed: naming the value and its bounds.
    """
    number = whole(name, value, 2**31)
    if number < 1:
        raise Malformed(f"filter: {name} is 0; expected at least 1")
    return number


def _unsupported(what: str) -> Malformed:
    return Malformed(f"filter: {what} is not supported; {SUPPORTED}")
