"""What this participant offers: publish, withdraw, look up."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from connector.offering.describe import (
    Extent,
    Holder,
    Publication,
    PublicView,
    check_publication,
    dataset_id,
    describe,
    described_columns,
    placed,
    public_view,
)
from connector.offering.ports import CONSENT_COLUMNS, Offering, OfferingStore, Sources
from connector.offering.profile import MOST_COLUMNS, profile, rows_to_profile
from connector.offering.push import catalog_of
from connector.offering.sought import ALL, Sought
from connector.outbox.ports import Outgoing
from policies.compare.clashes import refuse_contradictions
from policies.compiled import CompiledPolicy, compile_policy
from policies.fitting import fit_to_columns
from policies.plan import DataPlan
from policies.refusals.refusal import refusal
from schemas.arrow import columns_of
from schemas.canonical import digest
from schemas.dcat import Catalog, ColumnStatistics, Dataset
from schemas.errors import AlreadyExists, NotFound, PolicyMismatch, Refused, WorldMoved
from schemas.odrl import terms
from schemas.usage import UsageKind, UsageRecord
from schemas.worded import wording

BATCH = 200
"""Publications that are saved in one transaction."""

_log = structlog.get_logger("connector.offering")


@dataclass(frozen=True)
class PublishReport:
    """What became of a batch of publications; `refused` holds (source, reason)."""

    published: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


class Offerings:
    """Publishes files as datasets, and keeps what is offered.

    Args:
        store: where offerings are kept.
        sources: reads the files.
        usage_record: makes a record for the usage log.
        announce: makes the messages that tell the catalogues.
        clock: UTC, aware.
        holder: who offers.
        wake: is told which outbox process has new mail.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        store: OfferingStore,
        sources: Sources,
        usage_record: Callable[..., UsageRecord],
        announce: Callable[[Sequence[Offering], Sequence[str]], Sequence[Outgoing]],
        clock: Callable[[], datetime],
        holder: Holder,
        wake: Callable[[str], None] | None = None,
    ) -> None:
        self._store, self._sources = store, sources
        self._record, self._announce = usage_record, announce
        self._clock, self._wake = clock, wake
        self._holder = holder

    def publish(self, items: Sequence[Publication]) -> PublishReport:
        """Publish files, each on its own: what is wrong with one stops no other.

        Every term of every offer is checked against the data first; what cannot be kept is refused, by name.

        Raises:
            StorageUnavailable: if a batch was not saved; batches before it were.
        """
        published: list[str] = []
        unchanged: list[str] = []
        refused: list[tuple[str, str]] = []
        for start in range(0, len(items), BATCH):
            batch: dict[str, Offering] = {}
            wanted = items[start : start + BATCH]
            held = self._store.many([self._name(item) for item in wanted])
            for item in wanted:
                try:
                    offering, is_new = self._prepare(item, ChainMap(batch, dict(held)), batch)
                except (Refused, WorldMoved) as error:
                    refused.append((item.source, wording(error)))
                    continue
                if is_new:
                    batch[offering.dataset.id] = offering
                else:
                    unchanged.append(offering.dataset.id)
            if batch:
                self._save(list(batch.values()))
                published.extend(batch)
        return PublishReport(tuple(published), tuple(unchanged), tuple(refused))

    def _save(self, offerings: Sequence[Offering]) -> None:
        records = [
            self._record(
                UsageKind.ASSET_PUBLISHED,
                dataset=offering.dataset.id,
                rows=offering.dataset.rows,
                # The terms by digest: a record is short, and the auditor gets the terms with the agreement.
                policy=digest([terms(offer) for offer in offering.dataset.has_policy]),
            )
            for offering in offerings
        ]
        self._put(offerings, self._announce(offerings, ()), records)

    def _put(
        self, offerings: Sequence[Offering], outgoing: Sequence[Outgoing], records: Sequence[UsageRecord]
    ) -> None:
        self._store.put(offerings, outgoing=outgoing, records=records)
        if self._wake is not None:
            for process in dict.fromkeys(message.process for message in outgoing):
                self._wake(process)

    def _name(self, item: Publication) -> str:
        return item.id or dataset_id(self._holder.did, item.source)

    def _prepare(
        self, item: Publication, known: Mapping[str, Offering], batch: Mapping[str, Offering]
    ) -> tuple[Offering, bool]:
        """Look at a file, check its offers against it, describe it; and say whether that is news."""
        check_publication(item)
        name = self._name(item)
        held = known.get(name)
        path = self._sources.resolve(item.source)
        source = str(path)
        consent = str(self._sources.resolve(item.consent)) if item.consent is not None else None
        if (
            held is not None
            and held.source != source
            and (name in batch or (not item.id and not held.withdrawn))
        ):
            raise AlreadyExists(f"{name} is the id of another file already; give this one an 'id' of its own")
        dataset = self._describe(replace(placed(item, source, name), consent=consent), path)
        if (
            held is not None
            and held.withdrawn is None
            and held.source == source
            and held.consent == consent
            and _same(held.dataset, dataset)
        ):
            return held, False
        if held is not None:
            _check_not_grown(held.dataset, dataset)
            dataset = dataset.model_copy(update={"issued": held.dataset.issued})
        version = held.version if held is not None else 0
        return Offering(dataset, source, self._clock(), version=version, consent=consent), True

    def _describe(self, item: Publication, path: Path) -> Dataset:
        facts = self._sources.facts(path)
        policies = [compile_policy(offer) for offer in item.offers]
        for policy in policies:
            refuse_contradictions(policy)
            fit_to_columns(policy, columns_of(facts.schema))
            for warning in policy.warnings:
                _log.warning(
                    "policy could be clearer",
                    offer=policy.id,
                    dataset=item.id or item.source,
                    warning=warning,
                )
        view = public_view(facts.schema, policies)
        self._check_consent(view, item.consent)
        rows = max((self._sources.count(path, plan) for plan in view.counted), default=None)
        columns = described_columns(facts.schema, view, self._profile(path, view, rows))
        return describe(item, self._holder, Extent(columns, rows, facts.byte_size), self._clock())

    def fit(self, dataset: str, policy: CompiledPolicy) -> None:
        """Check that a policy that somebody else wrote can be kept on the file behind a dataset.

        Raises:
            NotFound: if no such dataset is offered here.
            PolicyMismatch: naming a column or a value that does not fit the file, or a mask that cannot be
                laid.
            UnreadableData: if the file cannot be read.
        """
        held = self.get(dataset)
        facts = self._sources.facts(held.source)
        fit_to_columns(policy, columns_of(facts.schema))
        self._check_consent(public_view(facts.schema, [policy]), held.consent)

    def _check_consent(self, view: PublicView, table: str | None) -> None:
        """Check that there is a consent table where one is needed, and that it is one."""
        if not view.needs_consent:
            return
        if table is None:
            raise PolicyMismatch(refusal("no consent table"))
        names = self._sources.facts(table).schema.names
        lacking = [name for name in CONSENT_COLUMNS if name not in names]
        if lacking:
            needed = ", ".join(CONSENT_COLUMNS)
            raise PolicyMismatch(refusal("consent table", column=repr(lacking[0]), columns=needed))

    def _profile(self, path: Path, view: PublicView, rows: int | None) -> Mapping[str, ColumnStatistics]:
        measured = view.measured[:MOST_COLUMNS]
        if not measured or rows is None:
            return {}
        most = rows_to_profile(len(measured))
        table = self._sources.head(path, _narrow(view.told, measured), most)
        return profile(table, rows if table.num_rows == most else table.num_rows)

    def withdraw(self, dataset: str) -> Offering:
        """Offer a dataset no longer. Agreements that were made about it stand until they are revoked.

        Raises:
            NotFound: naming the id, also if it was withdrawn before.
        """
        held = self.get(dataset)
        gone = replace(held, withdrawn=self._clock())
        record = self._record(UsageKind.ASSET_WITHDRAWN, dataset=dataset)
        self._put([gone], self._announce((), (dataset,)), [record])
        return gone

    def get(self, dataset: str) -> Offering:
        """Return an offering that is not withdrawn.

        Raises:
            NotFound: naming the id.
        """
        held = self._store.get(dataset)
        if held.withdrawn is not None:
            raise NotFound(f"dataset {dataset[:200]!r} is not offered here")
        return held

    def page(self, offset: int, limit: int, sought: Sought = ALL) -> Sequence[Offering]:
        """Return offerings that are not withdrawn and are sought, ordered by dataset id."""
        return self._store.page(offset, limit, sought)

    def count(self, sought: Sought = ALL) -> int:
        """Return how many datasets `page` would go through."""
        return self._store.count(sought)

    def dataset(self, dataset: str) -> Dataset:
        """Return the description of a dataset that is offered.

        Raises:
            NotFound: naming the id.
        """
        return self.get(dataset).dataset

    def catalog(self) -> Catalog:
        """Return the catalogue document of this participant, without its datasets: `told` has them."""
        return catalog_of(self._holder, ())

    def told(self, offset: int, limit: int, sought: Sought = ALL) -> Sequence[bytes]:
        """Return the datasets of a page, each as JSON text."""
        return self._store.told(offset, limit, sought)


def _narrow(plan: DataPlan, columns: Sequence[str]) -> DataPlan:
    return replace(plan, branches=tuple(replace(one, columns=tuple(columns)) for one in plan.branches))


def _check_not_grown(held: Dataset, new: Dataset) -> None:
    """Refuse new columns under an id that agreements may speak of.

    An agreement without a column list shows all that was described when it was made; a column that comes
    later, perhaps under a mask that only the new offer demands, would be shown with it.

    Raises:
        PolicyMismatch: naming the new columns.
    """
    before = {column.name for column in held.columns}
    grown = sorted(column.name for column in new.columns if column.name not in before)
    if grown:
        raise PolicyMismatch(refusal("grown", dataset=new.id, columns=", ".join(map(repr, grown[:10]))))


def _same(held: Dataset, new: Dataset) -> bool:
    """Say whether two descriptions tell the same; when they were made does not count."""
    dated = ("dct:issued", "dct:modified")
    one, other = ({k: v for k, v in dataset.wire().items() if k not in dated} for dataset in (held, new))
    return one == other
