"""The version document of the Dataspace Protocol 2025-1, chapter 4.3."""

from __future__ import annotations

from schemas.base import Document
from schemas.vocab import DSP_VERSION


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


def common_version(document: VersionDocument, root: str, base: str) -> bool:
    """Say whether a document, found at `root`, says that our version is spoken, at `base` if it names that.

    An endpoint that is named with other versions only is not spoken to, though ours is spoken elsewhere.
    """

    def is_ours(entry: Version) -> bool:
        # Some releases of EDC write "2025/1".
        return entry.version.replace("/", "-") == DSP_VERSION and entry.binding == "HTTPS"

    def place(entry: Version) -> str:
        return root.rstrip("/") + "/" + entry.path.strip("/")

    named = [entry for entry in document.protocol_versions if place(entry) == base.rstrip("/")]
    return any(map(is_ours, named or document.protocol_versions))
