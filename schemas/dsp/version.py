"""The version document of the Dataspace Protocol 2025-1, chapter 4.3."""

from __future__ import annotations

from schemas.base import Document


class Auth(Document):
    """How callers prove themselves at an endpoint."""

    protocol: str
    version: str
    profile: tuple[str, ...] = ()


class Version(Document):
    """One protocol version, and the path below the root where it is spoken."""

    version: str
    path: str
    binding: str = "HTTPS"
    service_id: str | None = None
    identifier_type: str | None = None
    auth: Auth | None = None


class VersionDocument(Document):
    """What `/.well-known/dspace-version` answers; no context, no token."""

    protocol_versions: tuple[Version, ...]
