"""From a name to a stream: search, negotiate, transfer, first batch; each step timed.

An AI developer's own connector speaks for it in the data space; this file asks that connector.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from connector.client.desk import PATIENCE, Desk
from connector.client.find import find, own_http
from connector.client.management import Management
from connector.client.setup import setup, stream_egress
from connector.client.stream import Access, DataStream
from policies.profile import action_iri, purpose_iri
from schemas.dsp.transfer import DataAddress
from schemas.errors import DataspaceError, Malformed


def open(  # noqa: PLR0913 - the one line that the README shows: connector.open(…)
    catalogue: str,
    dataset: str,
    *,
    purpose: str | None = None,
    action: str = "train",
    connector: str | None = None,
    key: str | None = None,
    columns: Sequence[str] | None = None,
    aggregate: Mapping[str, Any] | None = None,
    start: int = 0,
    timeout: float = 30.0,
    renegotiate: bool = False,
) -> DataStream:
    """Find a dataset, agree on its terms, and open a stream of its rows.

    An agreement that stands is used again for the same use, unless `renegotiate` asks for a new one.

    Args:
        catalogue: URL of the catalogue.
        dataset: its id, the end of its id (`…flights`), or its title.
        purpose: what for, such as `dpv:ScientificResearch`.
        action: what you mean to do: train, fineTune, evaluate or analyse.
        connector: URL of your own connector; default: HANSA_CONNECTOR, or the client's file.
        key: its API key; default: HANSA_API_KEY, HANSA_API_KEY_FILE, or the client's file.
        columns: which columns to read; default: all that the terms release.
        aggregate: groups instead of rows, where the terms release only those, such as
            `{"group": ["sex"], "measures": [{"function": "mean", "column": "age"}]}`.
        start: row to begin at.
        timeout: seconds for the negotiation, for the transfer, and for each read.
        renegotiate: make a new agreement in any case.

    Returns:
        A stream whose first batch is there; `timings` tells the milliseconds of each step.

    Raises:
        UseDenied: with the provider's reasons.
        NotFound: if no dataset is called so.
        Malformed: if several are, listing them.
        PeerUnavailable: if catalogue, connector or provider cannot be reached, or do not answer in time.
        Misconfigured: if the own connector is not known, saying what to set.
    """
    use = {"action": action_iri(action), "purpose": purpose_iri(purpose) if purpose else None}
    own, clock = setup(connector, key), Stopwatch()
    http = own_http(PATIENCE + timeout)
    management = Management(own.connector, own.key, http)
    try:
        with clock.step("search"):
            hit = find(catalogue, dataset, http=http, purpose=purpose, action=action, own=management)
        desk = Desk(management, use, timeout)
        agreement = None if renegotiate else desk.standing(hit)
        if agreement is None:
            with clock.step("negotiation"):
                pid = desk.negotiate(hit)
            with clock.step("agreement"):
                agreement = desk.agreed(pid)
        with clock.step("transfer"):
            transfer, address = desk.transfer(agreement)
    except DataspaceError:
        http.close()
        raise

    def complete() -> None:
        desk.complete(transfer)
        http.close()

    def renew() -> tuple[str, str]:
        nonlocal transfer
        transfer, fresh = desk.transfer(agreement)
        return _where(fresh)

    endpoint, ticket = _where(address)
    stream = DataStream(
        Access(
            endpoint=endpoint,
            ticket=ticket,
            dataset=hit.id,
            agreement=agreement,
            egress=stream_egress(own),
            columns=tuple(columns) if columns is not None else None,
            question=aggregate,
            timeout=timeout,
            renew=renew,
            complete=complete,
            terms=desk.terms(agreement),
        ),
        start,
    )
    try:
        with clock.step("first batch"):
            stream.prefetch()
    except BaseException:
        stream.close()
        raise
    stream.timings = clock.timings
    return stream


class Stopwatch:
    """Measures steps, in order. Units: milliseconds."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure one step."""
        begun = time.perf_counter()
        yield
        self.timings[name] = round((time.perf_counter() - begun) * 1000, 1)


def _where(address: DataAddress) -> tuple[str, str]:
    endpoint, ticket = address.where(), address.property("authorization")
    if not endpoint or not ticket:
        raise Malformed(
            "the provider's data address has no endpoint or no ticket; it cannot be streamed from"
        )
    return endpoint, ticket
