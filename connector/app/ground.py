"""What every room stands on: keys, database, trust, the log, files. None of it asks a room."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from joserfc.jwk import OKPKey

from connector.adapters.control_planes import HttpControlPlanes, plane_access
from connector.adapters.files import make_folder, write_once
from connector.adapters.keys import load_or_create_key, load_or_create_secret
from connector.adapters.progress import FileProgress
from connector.adapters.received import ReceivedFiles, Room
from connector.adapters.sources import ParquetSources
from connector.adapters.sql import SqlStores
from connector.adapters.tiles import FileTiles
from connector.app.world import World, utc_now
from connector.offering.describe import Holder
from connector.offering.push import CatalogPush
from connector.promises import Us
from connector.settings import API_KEY_FILE, KEY_FILE, Settings
from connector.trust.members import MembersTrust, fetch_members
from connector.trust.mock import MockTrust
from connector.trust.ports import TrustProfile
from connector.usage.service import UsageLog
from schemas.arrow import columns_of
from schemas.binding.did import DidResolver
from schemas.binding.paths import DSP_PREFIX
from schemas.dcat import Column
from schemas.identity import MemberList
from schemas.vocab import FORMAT_ARROW_FLIGHT, FORMAT_ARROW_HTTP, FORMAT_HTTP_PUSH

MASK_FILE = "mask-secret"
SINK_FILE = "sink-secret"
RECEIVED = "received"
"""The folder in `data_dir` for what is pushed to us."""


def columns_of_file(file: Path) -> Sequence[Column]:
    """Return the columns of a data file, as a policy's terms are checked against them.

    Raises:
        UnreadableData: if it is corrupt or of no known kind.
        NotFound: if there is no such file.
    """
    return columns_of(ParquetSources((file.absolute().parent,), utc_now).facts(file.name).schema)


def initialise(state: Path) -> str:
    """Make the keys of a participant, where they are not there yet, and return its key's thumbprint."""
    make_folder(state)
    key = load_or_create_key(state / KEY_FILE)
    load_or_create_secret(state / MASK_FILE)
    load_or_create_secret(state / SINK_FILE)
    write_once(state / API_KEY_FILE, secrets.token_urlsafe(32).encode() + b"\n", 0o600)
    return str(key.thumbprint())


class Ground:
    """The parts that ask no other part but each other.

    Each part is made when it is first asked for.
    """

    def __init__(self, settings: Settings, world: World) -> None:
        """Make the keys, where they are not there yet.

        Raises:
            Misconfigured: naming the setting that cannot work.
        """
        self.settings, self.clock, self._world = settings, world.clock, world
        self._state = settings.data_dir
        initialise(self._state)
        self._key = load_or_create_key(self._state / KEY_FILE)
        self._did, self._dsp_url = settings.did, settings.public_url + DSP_PREFIX
        self._patience = timedelta(seconds=settings.negotiation.deadline_seconds)
        self._planes = tuple(plane_access(each) for each in settings.signaling.control_planes)

    @cached_property
    def stores(self) -> SqlStores:
        """The database."""
        return SqlStores(self.settings.database, alive=self._state / "alive")

    @cached_property
    def trust(self) -> TrustProfile:
        """How participants of this data space prove themselves."""
        if self.settings.trust == "edc-mock":
            return MockTrust(self._did)
        return MembersTrust(
            did=self._did,
            key=self._key,
            resolver=DidResolver(self._world.http, self.clock),
            replay=self.stores.replay,
            members=_members(self.settings, self._world),
            clock=self.clock,
            new_id=self._world.new_id,
        )

    @cached_property
    def usage(self) -> UsageLog:
        """The tamper-evident log."""
        return UsageLog(
            store=self.stores.usage,
            key=self._key,
            origin=f"{urlsplit(self.settings.public_url).netloc}/usage",
            did=self._did,
            clock=self.clock,
            new_id=self._world.new_id,
            tiles=FileTiles(self._state / "log"),
            progress=FileProgress(self._state / "progress"),
        )

    @cached_property
    def _us(self) -> Us:
        return Us(self._did, self._key, self.clock, self._world.new_id)

    @cached_property
    def _holder(self) -> Holder:
        flight = (FORMAT_ARROW_FLIGHT,) if self.settings.stream.flight_port is not None else ()
        push = (FORMAT_HTTP_PUSH,) if self.settings.transfer.most_pushes else ()
        formats = (FORMAT_ARROW_HTTP, *flight, *push)
        return Holder(self._did, self.settings.name, self._dsp_url, formats=formats)

    @cached_property
    def _push(self) -> CatalogPush:
        catalogs = [(each.id, each.url) for each in self.settings.catalogs if each.push]
        return CatalogPush(
            catalogs=catalogs, holder=self._holder, clock=self.clock, new_id=self._world.new_id
        )

    @cached_property
    def _sources(self) -> ParquetSources:
        return ParquetSources(self.settings.data.roots, self.clock)

    @cached_property
    def _received(self) -> ReceivedFiles:
        receive = self.settings.receive
        return ReceivedFiles(self._state / RECEIVED, Room(receive.most_files, receive.most_bytes_kept))

    @cached_property
    def _control_planes(self) -> HttpControlPlanes:
        return HttpControlPlanes(self._world.http, self._planes)


def _members(settings: Settings, world: World) -> Callable[[], MemberList]:
    """Return where the member list comes from; without one, nobody is a member."""
    if settings.members is None:
        return lambda: MemberList(space="none", serial=0)
    authority = OKPKey.import_key(dict(settings.members.authority))
    return fetch_members(world.http, settings.members.url, authority, world.clock)
