"""Frozen bases for everything that travels: camelCase outside, snake_case inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from schemas.errors import Malformed
from schemas.vocab import DSP_CONTEXT
from schemas.worded import TOLD

IRI_PATTERN = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+$")

# An empty array is invalid in DSP where arrays are optional, so it is left out (EDC refuses an empty filter);
# here it carries meaning.
_KEPT_EMPTY = frozenset({"rightOperand"})


def pruned(value: Any) -> Any:
    """Return JSON as it travels: without absent members and empty arrays."""
    # Only containers are entered: a page of a catalogue has a hundred thousand leaves.
    if isinstance(value, dict):
        return {
            key: pruned(item) if isinstance(item, dict | list) else item
            for key, item in value.items()
            if item is not None and (item != [] or key in _KEPT_EMPTY)
        }
    if isinstance(value, list):
        return [pruned(item) if isinstance(item, dict | list) else item for item in value]
    return value


class Document(BaseModel):
    """A frozen value with a JSON form; unknown members are ignored on reading."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
        # A number that JSON lacks must not turn into null unseen: whoever writes it fails instead.
        ser_json_inf_nan="constants",
    )

    def wire(self) -> dict[str, Any]:
        """Return the JSON form, without absent members and empty arrays."""
        travelling: dict[str, Any] = pruned(self.model_dump(mode="json", by_alias=True))
        return travelling

    @classmethod
    def read(cls, document: Any) -> Self:
        """Read the JSON form.

        Raises:
            Malformed: with the first places that do not fit, and what stood there.
        """
        if not isinstance(document, Mapping):
            raise Malformed(f"{cls.__name__}: expected a JSON object, got {type(document).__name__}")
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise Malformed(f"{cls.__name__}: {describe_validation(error)}") from None


def describe_validation(error: ValidationError, most: int = 3) -> str:
    """Say in one line where a document does not fit: place, problem, and the value found (shortened)."""
    found = []
    for item in error.errors(include_url=False, include_context=False)[:most]:
        place = ".".join(str(step) for step in item["loc"]) or "document"
        value = item.get("input")
        shown = f" (found {str(value)[:60]!r})" if isinstance(value, str | int | float | bool) else ""
        found.append(f"{place}: {item['msg']}{shown}")
    rest = error.error_count() - most
    return "; ".join(found) + (f"; and {rest} more" if rest > 0 else "")


def _check_iri(value: Any) -> Any:
    if isinstance(value, Mapping) and "@id" in value:
        value = value["@id"]
    if isinstance(value, str) and not IRI_PATTERN.match(value):
        raise ValueError(f"{value[:80]!r} is not an absolute IRI")
    return value


def _as_node(value: str) -> dict[str, str]:
    return {"@id": value}


def _unwrap_value(value: Any) -> Any:
    return value["@value"] if isinstance(value, Mapping) and "@value" in value else value


def _as_tuple(value: Any) -> Any:
    """JSON-LD lets a set of one travel without its brackets."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Iri = Annotated[str, BeforeValidator(_check_iri)]
"""An absolute IRI, as a plain string on the wire."""

IriNode = Annotated[str, BeforeValidator(_check_iri), PlainSerializer(_as_node)]
"""An absolute IRI that travels as `{"@id": …}`."""

Plain = BeforeValidator(_unwrap_value)
"""Accepts a JSON-LD value object where a plain value is meant."""

Many = BeforeValidator(_as_tuple)
"""Accepts a single value where a set is meant."""


class LangString(Document):
    """A text with its language tag (BCP 47), or without one."""

    value: str
    language: str | None = None


def _read_texts(value: Any) -> Any:
    texts = []
    for item in _as_tuple(value):
        if isinstance(item, str):
            texts.append(LangString(value=item))
        elif isinstance(item, Mapping) and "@value" in item:
            texts.append(LangString(value=str(item["@value"]), language=item.get("@language")))
        else:
            texts.append(item)
    return tuple(texts)


def _write_texts(texts: tuple[LangString, ...]) -> Any:
    written = [
        {"@value": text.value, "@language": text.language} if text.language else text.value for text in texts
    ]
    return written[0] if len(written) == 1 else written


Texts = Annotated[tuple[LangString, ...], BeforeValidator(_read_texts), PlainSerializer(_write_texts)]
"""One text in several languages; a plain string on the wire when it has no language."""


def best_text(texts: tuple[LangString, ...], languages: tuple[str, ...] = ("en",)) -> str:
    """Choose the text for a reader: wanted languages in order, then untagged, then whatever there is."""
    for wanted in languages:
        for text in texts:
            if text.language and text.language.split("-")[0].lower() == wanted.split("-")[0].lower():
                return text.value
    untagged = next((text.value for text in texts if text.language is None), None)
    return untagged if untagged is not None else (texts[0].value if texts else "")


class Message(Document):
    """A DSP document: it names its context and its type; `@id` stays the same over retries."""

    TYPE: ClassVar[str]

    context: Annotated[tuple[str, ...], Many] = Field(default=(DSP_CONTEXT,), alias="@context")
    type: str = Field(default="", alias="@type")
    id: str | None = Field(default=None, alias="@id", max_length=512)

    @model_validator(mode="before")
    @classmethod
    def _own_type(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "@type" not in data and "type" not in data:
            return {**data, "@type": cls.TYPE}
        return data

    @classmethod
    def read(cls, document: Any) -> Self:
        """Read a message, checking that it is of this type.

        Raises:
            Malformed: naming both types, or the places that do not fit.
        """
        said = document.get("@type") if isinstance(document, Mapping) else None
        if isinstance(document, Mapping) and said != cls.TYPE:
            raise Malformed(f"expected '@type': '{cls.TYPE}', got {str(said)[:80]!r}")
        return super().read(document)


class CodeMessage(Message):
    """A message that ends or pauses a process, with an optional code and reasons (any JSON).

    `told` is what the reasons carry, see `schemas.worded`.
    """

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: Annotated[tuple[Any, ...], Many] = ()
    told: Any = Field(default=None, alias=TOLD)


class Role(StrEnum):
    """The two sides of every exchange; one connector plays both."""

    CONSUMER = "consumer"
    PROVIDER = "provider"

    @property
    def other(self) -> Role:
        """The counterparty's role."""
        return Role.PROVIDER if self is Role.CONSUMER else Role.CONSUMER
