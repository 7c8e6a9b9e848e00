"""What the catalogue says of itself: its DID document, the DSP version document, the member list."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from joserfc.jwk import OKPKey

from catalog.members import Members
from schemas.binding.paths import VERSION_PATH
from schemas.binding.server import answer
from schemas.dsp.version import Version, VersionDocument
from schemas.identity import DidService, document_for
from schemas.vocab import DSP_VERSION

DSP_PREFIX = f"/dsp/{DSP_VERSION}"


@dataclass(frozen=True)
class About:
    """The catalogue's name, id and place."""

    title: str
    did: str
    root: str
    public_search: bool = True


def about_router(about: About, key: OKPKey, members: Members) -> APIRouter:
    """Return the doors that are open to everyone."""
    router = APIRouter()
    service = DidService(
        id=f"{about.did}#catalog", type="CatalogService", service_endpoint=f"{about.root}{DSP_PREFIX}/catalog"
    )
    did_document = document_for(about.did, key, (service,)).wire()
    version = Version(
        version=DSP_VERSION, path=DSP_PREFIX, identifier_type="did:web", service_id=f"{about.did}#catalog"
    )

    @router.get("/.well-known/did.json")
    def did() -> JSONResponse:
        return JSONResponse(did_document)

    @router.get(VERSION_PATH)
    def versions() -> JSONResponse:
        return answer(VersionDocument(protocol_versions=(version,)))

    @router.get("/members.jwt")
    def signed_members() -> Response:
        return Response(members.token(), media_type="application/jwt")

    return router
