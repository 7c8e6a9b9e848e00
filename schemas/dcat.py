"""DCAT 3 as the Dataspace Protocol carries it: catalogues, datasets, distributions, services.

What DSP's context does not name travels under absolute IRIs, so that it survives a peer's JSON-LD
processing (dataspace context only).

Source: DCAT 3 (W3C, 2024); DCAT-AP 3.0.1; Dataspace Protocol 2025-1, chapter 5.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from schemas.base import Document, IriNode, Many, Message, Plain, Texts
from schemas.odrl import Offer
from schemas.vocab import CSVW, DCT, DSP_CONTEXT, FOAF, HANSA

Time = Annotated[str | None, Plain]
"""An xsd:date or xsd:dateTime as written; UTC where we write it."""


class Column(Document):
    """One column of tabular data.

    `datatype` is the Arrow type as pyarrow prints it ("int64", "dictionary<values=string, …>").
    """

    name: str = Field(alias=CSVW + "name")
    datatype: str = Field(alias=CSVW + "datatype")
    nullable: bool = Field(default=True, alias=HANSA + "nullable")
    description: str | None = Field(default=None, alias=DCT + "description")
    statistics: ColumnStatistics | None = Field(default=None, alias=HANSA + "statistics")


class ColumnStatistics(Document):
    """What one pass over a column found; values are strings, so that any type fits.

    `histogram` counts rows per equal-width bin between `minimum` and `maximum` (numeric columns), or per
    value of `top` (others). `sampled` says how many rows were looked at, where that was not all of them.
    """

    nulls: int = Field(default=0, alias=HANSA + "nulls")
    sampled: int | None = Field(default=None, alias=HANSA + "sampled")
    distinct: int | None = Field(default=None, alias=HANSA + "distinct")
    minimum: str | None = Field(default=None, alias=HANSA + "minimum")
    maximum: str | None = Field(default=None, alias=HANSA + "maximum")
    top: Annotated[tuple[str, ...], Many] = Field(default=(), alias=HANSA + "top")
    histogram: Annotated[tuple[int, ...], Many] = Field(default=(), alias=HANSA + "histogram")


class Agent(Document):
    """An organisation: its id (a DID where it is a participant) and its name."""

    id: str | None = Field(default=None, alias="@id")
    name: str | None = Field(default=None, alias=FOAF + "name")


def _read_agent(value: Any) -> Any:
    return {"@id": value} if isinstance(value, str) else value


class DataService(Document):
    """An endpoint that serves datasets; for a connector the base URL of its DSP endpoints."""

    id: str = Field(alias="@id")
    type: Literal["DataService"] = Field(default="DataService", alias="@type")
    endpoint_url: str | None = Field(default=None, alias="endpointURL")
    title: Texts = Field(default=(), alias="dct:title")
    endpoint_description: str | None = None


class Distribution(Document):
    """One way in which a dataset can be had."""

    type: Literal["Distribution"] = Field(default="Distribution", alias="@type")
    id: str | None = Field(default=None, alias="@id")
    format: Annotated[str, Plain]
    access_service: str | DataService
    has_policy: Annotated[tuple[Offer, ...], Many] = ()
    media_type: str | None = Field(default=None, alias="dcat:mediaType")
    byte_size: Annotated[int | None, Plain] = Field(default=None, alias="dcat:byteSize")
    title: Texts = Field(default=(), alias="dct:title")


class Dataset(Document):
    """A dataset with its offers and the ways to have it.

    Units: `rows` counts rows, `byte_size` of a distribution bytes of the source file.
    """

    id: str = Field(alias="@id", max_length=512)
    type: Literal["Dataset"] = Field(default="Dataset", alias="@type")
    has_policy: Annotated[tuple[Offer, ...], Many] = ()
    distribution: Annotated[tuple[Distribution, ...], Many] = ()
    title: Texts = Field(default=(), alias="dct:title")
    description: Texts = Field(default=(), alias="dct:description")
    keyword: Texts = Field(default=(), alias="dcat:keyword")
    theme: Annotated[tuple[IriNode, ...], Many] = Field(default=(), alias="dcat:theme")
    publisher: Annotated[Agent | None, BeforeValidator(_read_agent)] = Field(
        default=None, alias="dct:publisher"
    )
    identifier: Annotated[str | None, Plain] = Field(default=None, alias="dct:identifier")
    issued: Time = Field(default=None, alias="dct:issued")
    modified: Time = Field(default=None, alias="dct:modified")
    version: Annotated[str | None, Plain] = Field(default=None, alias="dcat:version")
    access_rights: IriNode | None = Field(default=None, alias="dct:accessRights")
    license: IriNode | None = Field(default=None, alias="dct:license")
    landing_page: IriNode | None = Field(default=None, alias="dcat:landingPage")
    language: Annotated[tuple[IriNode, ...], Many] = Field(default=(), alias="dct:language")
    spatial: Annotated[tuple[IriNode, ...], Many] = Field(default=(), alias="dct:spatial")
    rows: Annotated[int | None, Plain] = Field(default=None, alias=HANSA + "rows")
    schema_fingerprint: str | None = Field(default=None, alias=HANSA + "schemaFingerprint")
    columns: Annotated[tuple[Column, ...], Many] = Field(default=(), alias=CSVW + "column")


class RootDataset(Dataset):
    """A dataset as the answer to a dataset request: with its context."""

    context: Annotated[tuple[str, ...], Many] = Field(default=(DSP_CONTEXT,), alias="@context")


class NestedCatalog(Document):
    """A catalogue inside a catalogue: the link of a federation."""

    id: str = Field(alias="@id")
    type: Literal["Catalog"] = Field(default="Catalog", alias="@type")
    participant_id: str | None = None
    title: Texts = Field(default=(), alias="dct:title")
    dataset: Annotated[tuple[Dataset, ...], Many] = ()
    service: Annotated[tuple[DataService, ...], Many] = ()
    distribution: Annotated[tuple[Distribution, ...], Many] = ()


class Catalog(Message):
    """The answer to a catalogue request; an empty one leaves `dataset` out."""

    TYPE: ClassVar[str] = "Catalog"

    id: str = Field(alias="@id")
    participant_id: str | None = None
    title: Texts = Field(default=(), alias="dct:title")
    description: Texts = Field(default=(), alias="dct:description")
    publisher: Annotated[Agent | None, BeforeValidator(_read_agent)] = Field(
        default=None, alias="dct:publisher"
    )
    dataset: Annotated[tuple[Dataset, ...], Many] = ()
    service: Annotated[tuple[DataService, ...], Many] = ()
    catalog: Annotated[tuple[NestedCatalog, ...], Many] = ()
    distribution: Annotated[tuple[Distribution, ...], Many] = ()


Column.model_rebuild()
