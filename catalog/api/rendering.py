"""How pages are made from templates, and which form of an answer a reader wants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jinja2
from fastapi import Request

from catalog.api import figures
from catalog.api.about import About
from catalog.graph import MEDIA_JSONLD, MEDIA_TURTLE
from catalog.search import facet_label
from policies.profile import ACTIONS, PURPOSES
from schemas.errors import Malformed
from schemas.vocab import compact_iri

HERE = Path(__file__).resolve().parent
_FORMATS = {"html": "text/html", "json": "application/json", "jsonld": MEDIA_JSONLD, "turtle": MEDIA_TURTLE}


def wanted_format(request: Request, known: Sequence[str]) -> str:
    """Choose a form: `?format=` first, then the Accept header; HTML only for who asks for it.

    Raises:
        Malformed: naming the forms that there are.
    """
    said = request.query_params.get("format")
    if said is not None:
        if said not in known:
            raise Malformed(f"format {said[:40]!r} is not known; choose from {', '.join(known)}")
        return said
    weights: dict[str, float] = {}
    for part in request.headers.get("accept", "")[:2000].split(","):
        media, _, parameters = part.strip().partition(";")
        weight = 1.0
        for parameter in parameters.split(";"):
            name, _, value = parameter.strip().partition("=")
            if name == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        weights[media.strip().lower()] = weight
    ranked = sorted(known, key=lambda name: -weights.get(_FORMATS[name], 0.0))
    return ranked[0] if weights.get(_FORMATS[ranked[0]], 0.0) > 0 else next(n for n in known if n != "html")


@dataclass(frozen=True)
class Choice:
    """One choice of a form."""

    value: str
    label: str


def _spaced(name: str) -> str:
    """Write `ImproveInternalCRMProcesses` as words: `Improve internal CRM processes`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return " ".join(word if word.isupper() or not place else word.lower() for place, word in enumerate(words))


def _bare(iri: str) -> str:
    return compact_iri(iri).partition(":")[2] or iri


_ACTION_CHOICES = tuple(
    Choice(_bare(action.iri), _spaced(_bare(action.iri)).lower()) for action in ACTIONS if action.permitted
)
_PURPOSE_CHOICES = tuple(
    sorted(
        (Choice(compact_iri(iri), _spaced(_bare(iri))) for iri in PURPOSES),
        key=lambda choice: choice.label,
    )
)


def environment(about: About) -> jinja2.Environment:
    """Return the templates with the filters that they use."""
    vendor = HERE / "static" / "vendor"
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters.update(
        count=figures.count,
        size=figures.size,
        when=figures.when,
        day=figures.day,
        short=figures.short,
        link=figures.link,
        theme=partial(facet_label, "theme"),
        access=partial(facet_label, "access"),
    )
    made.globals.update(
        about=about,
        actions=_ACTION_CHOICES,
        purposes=_PURPOSE_CHOICES,
        has_pico=(vendor / "pico.min.css").exists(),
        has_htmx=(vendor / "htmx.min.js").exists(),
    )
    return made
