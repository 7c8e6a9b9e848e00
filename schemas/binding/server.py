"""The server's side of the binding: bounded bodies in, typed documents and error bodies out."""

from __future__ import annotations

import json
from typing import Any

from anyio import fail_after
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from schemas.base import Document, Message
from schemas.dsp.catalog import CatalogError
from schemas.dsp.negotiation import ContractNegotiationError
from schemas.dsp.transfer import TransferError
from schemas.errors import DataspaceError, Malformed, TooLarge
from schemas.worded import reasons_of, told_json, told_text

MOST_MESSAGE = 1 << 20
"""Bytes of a DSP message."""
BODY_SECONDS = 60.0
"""How long a body may take to arrive: who drips one holds a connection, and no thread, so long."""
MOST_DEPTH = 64
"""Nesting of a JSON document."""
PROBLEM = "application/problem+json"
"""Media type of errors outside of DSP."""


def check_depth(value: Any, most: int = MOST_DEPTH) -> None:
    """Refuse a document that nests deeper than `most`.

    Raises:
        TooLarge: naming the bound.
    """
    level = [value]
    for _ in range(most):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise TooLarge(f"document nests deeper than {most} levels")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def parse_json(body: bytes) -> Any:
    """Parse a JSON body within the bound of nesting.

    Raises:
        Malformed: saying where it stops being JSON.
    """
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
        if b"\\u" in body or b"\xed" in body:
            # Half a surrogate pair is text that no encoder takes: refuse it before anybody keeps it.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Malformed(f"body is not JSON: {str(error)[:120]}") from None
    check_depth(document)
    return document


async def bounded_body(request: Request, most: int = MOST_MESSAGE, seconds: float = BODY_SECONDS) -> bytes:
    """Read a body, never holding more than `most` bytes, nor waiting longer than `seconds` for all of it.

    Raises:
        TooLarge: naming both sizes.
        Malformed: if it takes too long; then nobody has looked at it.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise TooLarge(f"body of {declared} bytes; at most {most}")
    body = bytearray()
    try:
        with fail_after(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise TooLarge(f"body of more than {most} bytes")
    except TimeoutError:
        raise Malformed(f"{len(body)} bytes of the body came within {seconds:g} s; send all of it") from None
    return bytes(body)


async def json_body(request: Request) -> Any:
    """FastAPI dependency: the JSON body of a message, bounded; kept for the error renderer.

    Raises:
        Malformed: if it is not JSON, or too large.
    """
    document = parse_json(await bounded_body(request))
    request.state.document = document
    return document


def answer(document: Document, status: int = 200) -> JSONResponse:
    """Answer with a document in its JSON form."""
    return JSONResponse(document.wire(), status_code=status)


def _pids(request: Request) -> dict[str, str]:
    document = getattr(request.state, "document", None)
    said = document if isinstance(document, dict) else {}
    in_path = str(request.path_params.get("pid", ""))
    return {
        key: said[key] if isinstance(said.get(key), str) else in_path
        for key in ("providerPid", "consumerPid")
    }


def dsp_error(request: Request, code: str, reasons: list[str]) -> Message | None:
    """Return the typed error body of the DSP chapter that a path belongs to, if it belongs to one."""
    path = request.url.path
    if "/catalog/" in path:
        return CatalogError(code=code, reason=tuple(reasons))
    for mark, kind in (("/negotiations", ContractNegotiationError), ("/transfers", TransferError)):
        if mark in path:
            pids = _pids(request)
            return kind(
                provider_pid=pids["providerPid"],
                consumer_pid=pids["consumerPid"],
                code=code,
                reason=tuple(map(str, reasons)),
                told=told_text(reasons),
            )
    return None


def problem(status: int, code: str, reasons: list[str]) -> dict[str, Any]:
    """Return the body that tells an error outside of DSP.

    Source: RFC 9457.
    """
    told = {"type": f"urn:hansa:error:{code}", "title": code, "status": status, "detail": "; ".join(reasons)}
    more: dict[str, Any] = {"reasons": reasons} if len(reasons) > 1 else {}
    carried = told_json(reasons)
    return {**told, **more, **({"told": carried} if carried else {})}


_HEADERS = {503: {"Retry-After": "5"}, 401: {"WWW-Authenticate": "Bearer"}}


def install_errors(app: FastAPI, dsp_prefix: str) -> None:
    """Render the error tree: DSP error bodies below `dsp_prefix`, problem+json (RFC 9457) elsewhere."""

    def render(request: Request, status: int, code: str, reasons: list[str]) -> JSONResponse:
        headers = _HEADERS.get(status)
        if request.url.path.startswith(dsp_prefix):
            typed = dsp_error(request, code, reasons)
            if typed is not None:
                return JSONResponse(typed.wire(), status_code=status, headers=headers)
        return JSONResponse(problem(status, code, reasons), status, headers, media_type=PROBLEM)

    @app.exception_handler(DataspaceError)
    def _ours(request: Request, error: DataspaceError) -> JSONResponse:
        return render(request, error.status, error.code, reasons_of(error))

    @app.exception_handler(HTTPException)
    def _routing(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "bad-request")
        return render(request, error.status_code, code, [str(error.detail)])
