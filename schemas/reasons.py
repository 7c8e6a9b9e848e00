"""Reasons as we store them, with what they carry; apart from `worded`, so that who only speaks is light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

from schemas.worded import Worded


def _read_reasons(said: Any) -> tuple[str, ...]:
    if not isinstance(said, list | tuple):
        raise PydanticCustomError("reasons", "reasons are a list")
    return tuple(_read_reason(one) for one in said)


def _read_reason(said: Any) -> str:
    if isinstance(said, Mapping):
        return Worded(str(said["text"]), str(said["told"]))
    if not isinstance(said, str):
        raise PydanticCustomError("reason", "a reason is a text")
    return said


def _write_reasons(reasons: Iterable[str]) -> list[Any]:
    return [{"text": str(one), "told": one.told} if isinstance(one, Worded) else one for one in reasons]


Reasons = Annotated[tuple[str, ...], PlainValidator(_read_reasons), PlainSerializer(_write_reasons)]
"""Texts, some of which carry what they say."""
