"""What the console's forms and addresses say: bounded, and read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

from connector.dataplane.preview import Target
from policies.language import Language, language
from policies.profile import action_iri, purpose_iri
from policies.use import Claims, Use
from schemas.binding.server import bounded_body
from schemas.errors import Malformed

MOST_BODY = 1 << 20
MOST_FIELDS = 8_000
SOMEBODY = "did:web:consumer.example"


def language_of(request: Request, form: Mapping[str, str]) -> Language:
    """Choose the language: what was asked for, then what the browser prefers, then English."""
    said = form.get("lang") or request.query_params.get("lang")
    accepted = [said] if said else request.headers.get("accept-language", "")[:200].split(",")
    for one in accepted:
        try:
            return language(one.partition(";")[0])
        except Malformed:
            continue
    return Language.EN


def number_of(text: str) -> int:
    """Read where a page begins; what is no number is the beginning."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def target_of(form: Mapping[str, str]) -> Target | None:
    """Read which data are meant: an id has a scheme, a file has none."""
    said, consent = form.get("target", "").strip(), form.get("consent", "").strip()
    if not said:
        return None
    return Target(dataset=said) if ":" in said else Target(source=said, consent=consent or None)


def use_of(form: Mapping[str, str]) -> Use:
    """Read whose use is tried.

    Raises:
        UnknownTerm: naming an action or purpose that we do not know.
    """
    groups = frozenset(part.strip() for part in form.get("groups", "").split(",") if part.strip())
    claims = Claims(groups, (), form.get("region", "").strip() or None, form.get("environment", "") or None)
    purpose = form.get("purpose", "").strip()
    return Use(
        form.get("participant", "").strip() or SOMEBODY,
        action_iri(form.get("action", "") or "odrl:use"),
        purpose_iri(purpose) if purpose else None,
        claims,
    )


async def form_of(request: Request) -> dict[str, str]:
    """Read a form; of fields of one name the last counts.

    Raises:
        Malformed: if it is none, or has too many fields.
    """
    body = await bounded_body(request, MOST_BODY)
    try:
        return dict(
            parse_qsl(
                body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MOST_FIELDS
            )
        )
    except ValueError:
        raise Malformed(f"this is no form of at most {MOST_FIELDS} fields; load the page again") from None
