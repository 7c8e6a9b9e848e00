"""Reasons as we store them, with what they carry; apart from `schemas.worded`, which loads no library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from schemas.worded import Worded


def _read_reasons(said: Any) -> tuple[str, ...]:
    if not isinstance(said, list | tuple):
        raise ValueError("reasons are a list")  # noqa: TRY004 - what pydantic takes for a refusal
    return tuple(_read_reason(one) for one in said)


def _read_reason(said: Any) -> str:
    if isinstance(said, Mapping):
        return Worded(str(said["text"]), str(said["told"]))
    if not isinstance(said, str):
        raise ValueError("a reason is a text")  # noqa: TRY004 - what pydantic takes for a refusal
    return said


def _write_reasons(reasons: Iterable[str]) -> list[Any]:
    return [{"text": str(one), "told": one.told} if isinstance(one, Worded) else one for one in reasons]


Reasons = Annotated[tuple[str, ...], PlainValidator(_read_reasons), PlainSerializer(_write_reasons)]
"""Reasons as we store them: with what they carry."""
