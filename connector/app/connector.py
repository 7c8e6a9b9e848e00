"""A connector as a process: its doors are opened, its loops started and stopped, and it is served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from connector.adapters.catalogues import HttpCatalogues
from connector.adapters.control_planes import KnownPlanes
from connector.adapters.files import files_below
from connector.adapters.readings import SUFFIXES
from connector.api.signaling import signaling_router
from connector.api.sink import Pace, sink_router
from connector.app.parts import Parts
from connector.app.world import World
from connector.front import Behind, Front, open_doors
from connector.settings import API_KEY_FILE, Settings
from schemas.binding.client import Egress, Http


class Connector(Parts):
    """A connector, put together and not yet started."""

    def __init__(self, settings: Settings, world: World) -> None:
        """Make the parts of one participant.

        Raises:
            Misconfigured: naming the setting that cannot work.
            StorageUnavailable: if the database cannot be reached.
        """
        super().__init__(settings, world)
        self.app = FastAPI(title=f"Hansa connector: {settings.name}")
        self._open_doors()
        self._open_signaling()
        self.app.router.lifespan_context = self._lifespan
        _ = self.outbox  # the part that knows every room: what cannot be made fails here, and not in use

    def start(self) -> None:
        """Start everything that works in the background, and repair what a crash left."""
        self._received.tidy()
        self.usage.start()
        self.doors.start()
        self.watcher.start()
        self.stores.take_back()
        self.outbox.start()

    def stop(self) -> None:
        """Stop in the opposite order; what waits stays saved."""
        self.doors.stop()
        self.pushes.stop()
        self.transfer_pushes.stop()
        self.watcher.stop()
        self.outbox.stop()
        self.usage.stop()
        self.stores.close()

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        self.start()
        try:
            yield
        finally:
            self.stop()

    def _open_doors(self) -> None:
        """Give the doors the services that they call."""
        behind = Behind(
            us=self._us,
            trust=self.trust,
            negotiations=self.negotiations,
            transfers=self.transfers,
            offerings=self.offerings,
            outbox=self.outbox,
            usage=self.usage,
            streams=self.streams,
            flows=self.flows,
            previews=self.previews,
            promises=self.promises,
            agreement=lambda name: self.stores.negotiations.agreement(name).as_evidence(),
            files=lambda: files_below(self.settings.data.roots, SUFFIXES),
            catalogues=HttpCatalogues(
                self._world.http, self.trust, [(each.id, each.url) for each in self.settings.catalogs]
            ).search,
        )
        api_key = (self._state / API_KEY_FILE).read_bytes().strip()
        open_doors(self.app, behind, Front(self.settings.name, self.settings.public_url, api_key))

    def _open_signaling(self) -> None:
        """Open the doors for foreign control planes, and for what is pushed to us."""

        def followed(pid: str) -> None:
            self.flows.follow_up(pid)
            self.pushes.begin(pid)

        known = KnownPlanes(self._planes)
        self.app.include_router(
            signaling_router(
                flows=self.flows,
                known=known,
                any_known=bool(known),
                new_id=self._world.new_id,
                followed=followed,
            )
        )
        receive = self.settings.receive
        pace = Pace(receive.stall_seconds, receive.least_bytes, receive.most_seconds)
        self.app.include_router(sink_router(self.sinks, pace))


def build(settings: Settings, world: World | None = None) -> Connector:
    """Put a connector together from its settings.

    Raises:
        Misconfigured: naming the setting that cannot work.
        StorageUnavailable: if the database cannot be reached.
    """
    return Connector(settings, world or World(Http(Egress.allowing(settings.egress.allow))))


def serve_until_stopped(connector: Connector) -> None:
    """Serve a connector until the process is told to stop."""
    uvicorn.run(
        connector.app,
        host=connector.settings.host,
        port=connector.settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
