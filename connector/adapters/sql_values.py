"""Our frozen values as stored text, and back: exactly the same value.

Unlike the form on the wire nothing is pruned, so that a foreign policy comes back with every member it had.
"""

from __future__ import annotations

import json
from functools import cache
from types import GenericAlias
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError

from schemas.errors import Malformed

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Build the reader and writer of a type, once: it takes milliseconds."""
    # A tuple of one, since only a type that is no class of ours takes a configuration from outside.
    # Numbers that JSON lacks must reach `json.dumps`, which refuses them, and not turn into null before.
    shape: Any = GenericAlias(tuple, (kind,))
    return TypeAdapter(shape, config=ConfigDict(ser_json_inf_nan="constants"))


class Stored(Generic[T]):
    """Writes values of one type as JSON text, and reads them."""

    def __init__(self, kind: type[T]) -> None:
        key: Any = kind
        self._adapter: TypeAdapter[tuple[T]] = _adapter(key)

    def write(self, value: T) -> str:
        """Write a value.

        Raises:
            Malformed: if it holds a number or a text that JSON cannot carry.
        """
        try:
            (document,) = self._adapter.dump_python((value,), mode="json", by_alias=True)
            return json.dumps(document, allow_nan=False)
        except (PydanticSerializationError, ValueError) as error:
            raise Malformed(f"{type(value).__name__} holds a value that JSON cannot carry: {error}") from None

    def read(self, text: str) -> T:
        """Read a value that `write` wrote."""
        return self._adapter.validate_python((json.loads(text),))[0]
