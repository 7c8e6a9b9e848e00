"""A participant's own connector, as its people and programs speak to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from schemas.binding.client import Http, Reply
from schemas.errors import (
    DataspaceError,
    Forbidden,
    Malformed,
    NotFound,
    PeerRefused,
    PeerUnavailable,
    Refused,
    Unauthenticated,
)
from schemas.worded import read_told, worded

_BY_STATUS: dict[int, type[DataspaceError]] = {
    400: Refused,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    422: Malformed,
}


class Management:
    """Calls the management door of one connector with an API key."""

    def __init__(self, url: str, key: str, http: Http) -> None:
        """Make it for the connector at `url`."""
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._http = http

    def get(self, path: str, **query: str | int | float | None) -> Any:
        """Fetch a document; query parameters that are None are left out."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        return self._read(self._http.get(self._at(path, asked), self._headers))

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """Post a document and return the answer."""
        return self._read(self._http.post(self._at(path), dict(document), self._headers))

    def delete(self, path: str) -> Any:
        """Delete a resource and return the answer."""
        return self._read(self._http.delete(self._at(path), self._headers))

    def publish(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Publish data files with their offers, many at a time."""
        answered: dict[str, Any] = self.post("/publications", {"items": [dict(item) for item in items]})
        return answered

    def _at(self, path: str, query: str = "") -> str:
        return f"{self.url}/management{path}" + (f"?{query}" if query else "")

    def _read(self, reply: Reply) -> Any:
        """Turn an answer into its document, or a problem into the error it was.

        Raises:
            PeerRefused: carrying the reasons, where the status has no error of its own.
        """
        document = reply.json() if reply.body else None
        if reply.ok:
            return document
        problem = document if isinstance(document, dict) else {}
        detail = str(problem.get("detail") or f"{self.url} answered {reply.status}")
        said = problem.get("reasons")
        texts = [str(one) for one in said] if isinstance(said, list) else [detail]
        reasons = worded(texts, read_told(problem.get("told"), len(texts)))
        if reply.status in _BY_STATUS:
            raise _BY_STATUS[reply.status](reasons[0] if len(reasons) == 1 else detail)
        if reply.status >= 500 and problem.get("title") != PeerRefused.code:
            raise PeerUnavailable(detail)
        raise PeerRefused(detail, peer_status=reply.status, reasons=reasons if isinstance(said, list) else ())


def quoted(identifier: str) -> str:
    """Return an id as one step of a path."""
    return quote(identifier, safe="")
