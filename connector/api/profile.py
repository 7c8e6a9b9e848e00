"""The door of our policy profile: the document behind its IRI, and the JSON-LD context of its terms.

Open to everybody: who receives a policy has to be able to read what its terms mean.
"""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from policies.vocabulary import profile_context, profile_html, profile_jsonld, profile_turtle

PATH = "/policy/1"
_DAY = {"Cache-Control": "public, max-age=86400", "Vary": "Accept"}


def profile_router() -> APIRouter:
    """Return the door; everything that it serves is made once."""
    router = APIRouter()
    graph = json.dumps(profile_jsonld(), ensure_ascii=False).encode()
    context = json.dumps(profile_context(), ensure_ascii=False).encode()
    shown = {
        "text/html": profile_html().encode(),
        "text/turtle": profile_turtle().encode(),
        "application/ld+json": graph,
        "application/json": graph,
    }

    @router.get(PATH)
    def profile(request: Request) -> Response:
        media = _wanted(request.headers.get("accept", ""), tuple(shown))
        return Response(shown[media], media_type=media, headers=_DAY)

    @router.get(PATH + "/context.jsonld")
    def terms() -> Response:
        return Response(context, media_type="application/ld+json", headers=_DAY)

    return router


def _wanted(accept: str, offered: tuple[str, ...]) -> str:
    """Return the first media type that is asked for and that we have; pages for who asks for nothing."""
    ranked = []
    for position, part in enumerate(accept[:1000].split(",")):
        media, _, parameters = part.strip().lower().partition(";")
        quality = parameters.replace(" ", "").partition("q=")[2].partition(";")[0] or "1"
        try:
            ranked.append((-float(quality), position, media.strip()))
        except ValueError:
            continue  # a quality that is no number says nothing
    for negative, _, media in sorted(ranked):
        if media in offered and negative < 0:
            return media
    return offered[0]
