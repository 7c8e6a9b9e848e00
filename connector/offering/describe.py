"""File facts and a publication become a dataset: what is told about data, and to whom it may be told.

The catalogue is open to more people than any single offer. So columns that no offer releases are not
described, and statistics are told only of what every offer releases unmasked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from connector.offering.columns import can_judge, is_text
from connector.offering.masked import masked_type, released_field
from policies.compiled import CompiledPolicy
from policies.kinds.masking import Masking
from policies.plan import Branch, DataPlan, plan_for
from policies.refusals.refusal import refusal
from schemas.arrow import fingerprint
from schemas.base import LangString
from schemas.canonical import digest
from schemas.dcat import Agent, Column, ColumnStatistics, DataService, Dataset, Distribution
from schemas.errors import Malformed, PolicyMismatch
from schemas.odrl import Offer, terms
from schemas.vocab import (
    ACCESS_RIGHT,
    ACCESS_RIGHTS,
    DATA_THEME,
    DATA_THEMES,
    FORMAT_ARROW_FLIGHT,
    FORMAT_ARROW_HTTP,
    FORMAT_HTTP_PUSH,
    MEDIA_ARROW_STREAM,
)

MOST_TEXT = 20_000
"""Characters of a title or description."""
MOST_KEYWORDS = 100
"""Keywords of a dataset."""
MOST_COLUMNS = 10_000
"""Columns of a dataset."""

_ID = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`#]{1,500}")


@dataclass(frozen=True)
class Publication:
    """What a holder says about a file that it offers.

    `id` is made from the participant's DID and the file's name where it is not given. Themes and access
    rights are codes of the EU tables (`TRAN`, `PUBLIC`) or IRIs. `consent` is the file of the consent table.
    """

    source: str
    title: str
    offers: tuple[Offer, ...]
    id: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    license: str | None = None
    landing_page: str | None = None
    access_rights: str | None = None
    publisher: str | None = None
    version: str | None = None
    consent: str | None = None


@dataclass(frozen=True)
class Holder:
    """Who offers: DID, name, base URL of the DSP endpoints, and the formats that its doors serve."""

    did: str
    name: str
    dsp_url: str
    formats: tuple[str, ...] = (FORMAT_ARROW_HTTP, FORMAT_ARROW_FLIGHT)


@dataclass(frozen=True)
class Extent:
    """What there is to be had: columns as released (see `described_columns`), rows, and bytes of the file.

    `rows` is None where their number would tell of people, or hangs on what nobody may know.
    """

    columns: tuple[Column, ...]
    rows: int | None
    byte_size: int


@dataclass(frozen=True)
class PublicView:
    """What of the data may be told to everybody.

    `described` are the columns that at least one offer releases, `measured` those that every offer releases
    unmasked. Statistics are over rows that pass `told`; rows are counted by each of `counted`.
    """

    described: tuple[str, ...]
    measured: tuple[str, ...]
    told: DataPlan
    counted: tuple[DataPlan, ...]
    masked: Mapping[str, Masking]
    needs_consent: bool


def public_view(schema: pa.Schema, policies: Sequence[CompiledPolicy]) -> PublicView:
    """Derive from the offers of a dataset what may be told about it.

    Where an offer releases a sample, people hidden among others, people who consent, or groups only, no
    statistics are told at all: they would be of rows that this offer withholds.

    Raises:
        PolicyMismatch: if a mask cannot be laid over values of its column's type, rows cannot be judged by
            a column, no column is left, or two permissions bring together what must stay apart.
    """
    plans = [
        plan_for((permission,), policy.prohibitions)
        for policy in policies
        for permission in policy.permissions
    ]
    for plan in plans:
        _check_types(plan, schema)
    branches = [branch for plan in plans for branch in plan.branches]
    shown = [{name for name in schema.names if branch.shows(name)} for branch in branches]
    described = tuple(name for name in schema.names if any(name in names for names in shown))
    if not described:
        raise PolicyMismatch(refusal("nothing released"))
    plain = [plan for plan in plans if plan.aggregate is None and all(map(_is_plain, plan.branches))]
    measured = tuple(
        name
        for name in described
        if len(plain) == len(plans)
        and all(
            name in names and branch.mask_of(name) is None
            for names, branch in zip(shown, branches, strict=True)
        )
    )
    masked: dict[str, Masking] = {}
    for name in described:
        masks = {branch.mask_of(name) for names, branch in zip(shown, branches, strict=True) if name in names}
        if len(masks) == 1 and (mask := masks.pop()) is not None:
            masked[name] = mask
    together = {comparison for branch in branches for comparison in branch.predicate}
    excluded = tuple(dict.fromkeys(each for plan in plans for each in plan.excluded))
    return PublicView(
        described=described,
        measured=measured,
        told=DataPlan((Branch(measured, (), tuple(sorted(together, key=repr))),), excluded),
        counted=tuple(dict.fromkeys(_counting(plan) for plan in plain)),
        masked=masked,
        needs_consent=any(branch.consent is not None for branch in branches),
    )


def _is_plain(branch: Branch) -> bool:
    return branch.sample is None and branch.anonymity is None and branch.consent is None


def _counting(plan: DataPlan) -> DataPlan:
    """Return a plan for the same rows, that shows no more columns than it has to look at."""
    seen = tuple(sorted(plan.seen))
    return DataPlan(tuple(replace(branch, columns=seen, masks=()) for branch in plan.branches), plan.excluded)


def _check_types(plan: DataPlan, schema: pa.Schema) -> None:
    for branch in plan.branches:
        for name, mask in branch.masks:
            masked_type(name, schema.field(name).type, mask)
        people = (*(branch.anonymity.quasi_identifiers if branch.anonymity else ()),)
        for name in people:
            datatype = schema.field(name).type
            if not can_judge(datatype):
                raise PolicyMismatch(refusal("hidden column", column=repr(name), item=str(datatype)[:80]))
        if branch.consent is not None:
            subject = schema.field(branch.consent.column).type
            if not (is_text(subject) or pa.types.is_integer(subject)):
                column = repr(branch.consent.column)
                raise PolicyMismatch(refusal("consent subjects", column=column, item=str(subject)[:80]))


def described_columns(
    schema: pa.Schema, view: PublicView, statistics: Mapping[str, ColumnStatistics]
) -> tuple[Column, ...]:
    """Describe the columns that are told of, as they are released."""
    released = [
        released_field(schema.field(name), [view.masked.get(name)], hidden=False) for name in view.described
    ]
    told = set(view.measured)
    return tuple(
        Column(
            name=field.name,
            datatype=str(field.type),
            nullable=field.nullable,
            statistics=statistics.get(field.name) if field.name in told else None,
        )
        for field in released
    )


def dataset_id(did: str, source: str) -> str:
    """Return the id of a dataset that was given none: `urn:hansa:<participant>:<file name>`."""
    stem = source.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    name = re.sub(r"[^A-Za-z0-9._~-]+", "-", stem).strip("-.") or digest(source)[7:19]
    return f"urn:hansa:{did.split(':', 2)[-1]}:{name}"


def offer_of(offer: Offer, dataset: str) -> Offer:
    """Return an offer as it stands inside a dataset: without target, and with an id that hangs on its terms.

    An id of the holder's own is kept; an empty one becomes `<dataset>:offer:<digest>`, so that the same terms
    have the same id at each publication, and other terms another.

    Raises:
        PolicyMismatch: if it is the offer of another dataset.
    """
    if offer.target not in (None, "", dataset):
        meant = {"target": repr(offer.target), "dataset": repr(dataset)}
        raise PolicyMismatch(refusal("other target", offer=repr(offer.id), **meant))
    own = offer.id or f"{dataset}:offer:{digest(terms(offer))[7:23]}"
    return offer.model_copy(update={"id": own, "target": None})


def check_publication(item: Publication) -> None:
    """Check what a holder says about a file.

    Raises:
        Malformed: naming the member, its value, and what to write.
    """
    if not item.title.strip():
        raise Malformed("title is empty; say in a few words what the data are")
    for name, text in (("title", item.title), ("description", item.description or "")):
        if len(text) > MOST_TEXT:
            raise Malformed(f"{name} has {len(text)} characters; at most {MOST_TEXT}")
    if item.id is not None and not _ID.fullmatch(item.id):
        raise Malformed(f"id {item.id[:80]!r} is not an absolute IRI such as urn:example:flights")
    if len(item.keywords) > MOST_KEYWORDS:
        raise Malformed(f"{len(item.keywords)} keywords; at most {MOST_KEYWORDS}")
    if not item.offers:
        raise PolicyMismatch(refusal("no offer"))


def placed(item: Publication, source: str, dataset: str) -> Publication:
    """Return a publication with its checked source, its id, and its offers as they stand inside the dataset.

    Raises:
        PolicyMismatch: if two offers are the same, or one is for another dataset.
    """
    offers = tuple(offer_of(offer, dataset) for offer in item.offers)
    ids = [offer.id for offer in offers]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise PolicyMismatch(refusal("offer twice", offer=repr(twice)))
    return replace(item, source=source, id=dataset, offers=offers)


def _coded(value: str, codes: Mapping[str, str], base: str, name: str) -> str:
    if value in codes:
        return base + value
    if _ID.fullmatch(value):
        return value
    raise Malformed(f"{name} {value[:80]!r} is neither an IRI nor one of {', '.join(codes)}")


def _iri(value: str | None, name: str) -> str | None:
    if value is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]{1,2000}", value):
        raise Malformed(f"{name} {value[:80]!r} is not an absolute IRI such as https://example.org/terms")
    return value


def distributions(dataset: str, holder: Holder, byte_size: int) -> tuple[Distribution, ...]:
    """Return the two ways in which every dataset can be had."""
    service = DataService(
        id=f"{holder.dsp_url}#service",
        endpoint_url=holder.dsp_url,
        title=(LangString(value=f"Connector of {holder.name}"),),
        endpoint_description="dspace:connector",
    )
    return tuple(
        Distribution(
            id=f"{dataset}:distribution:{short}",
            format=format_,
            access_service=service,
            media_type=f"https://www.iana.org/assignments/media-types/{MEDIA_ARROW_STREAM}",
            byte_size=byte_size,
            title=(LangString(value=title, language="en"),),
        )
        for short, format_, title in (
            ("http", FORMAT_ARROW_HTTP, "Arrow stream over HTTP"),
            ("flight", FORMAT_ARROW_FLIGHT, "Arrow Flight"),
            ("push", FORMAT_HTTP_PUSH, "Arrow stream, pushed to you over HTTP"),
        )
        if format_ in holder.formats
    )


def _extent_in_words(title: str, extent: Extent) -> LangString:
    columns = extent.columns
    names = ", ".join(column.name for column in columns[:20]) + ("…" if len(columns) > 20 else ".")
    counted = f"{extent.rows} rows of" if extent.rows is not None else "Rows of"
    return LangString(
        value=f"{title.strip().rstrip('.')}. {counted} {len(columns)} columns: {names}",
        language="en",
    )


def describe(item: Publication, holder: Holder, extent: Extent, at: datetime) -> Dataset:
    """Describe a dataset with all that DCAT-AP asks of it.

    Args:
        item: what its holder says.
        holder: who offers it.
        extent: what there is to be had.
        at: when it was first published.

    Raises:
        Malformed: naming a member that does not fit.

    Source: DCAT-AP 3.0.1 (title and description are mandatory).
    """
    name = item.id or dataset_id(holder.did, item.source)
    about = LangString(value=item.description) if item.description else _extent_in_words(item.title, extent)
    stamp = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Dataset(
        id=name,
        has_policy=tuple(offer_of(offer, name) for offer in item.offers),
        distribution=distributions(name, holder, extent.byte_size),
        title=(LangString(value=item.title.strip()),),
        description=(about,),
        keyword=tuple(LangString(value=word.strip()[:200]) for word in item.keywords if word.strip()),
        theme=tuple(_coded(theme, DATA_THEMES, DATA_THEME, "theme") for theme in item.themes),
        publisher=Agent(id=holder.did, name=item.publisher or holder.name),
        identifier=name,
        issued=stamp,
        modified=stamp,
        version=item.version,
        access_rights=_coded(item.access_rights, ACCESS_RIGHTS, ACCESS_RIGHT, "access right")
        if item.access_rights
        else None,
        license=_iri(item.license, "license"),
        landing_page=_iri(item.landing_page, "landing page"),
        rows=extent.rows,
        schema_fingerprint=fingerprint(extent.columns),
        columns=extent.columns,
    )
