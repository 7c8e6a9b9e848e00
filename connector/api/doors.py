"""The doors through which data leaves, and where a consumer finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from connector.api.arrow_http import PATH, ArrowHttpDoor
from connector.dataplane.service import Streams
from connector.settings import StreamSettings
from schemas.dsp.transfer import DataAddress, EndpointProperty
from schemas.errors import NotFound, Unavailable
from schemas.vocab import EDC, ENDPOINT_FLIGHT, ENDPOINT_HTTP, FORMAT_ARROW_FLIGHT, FORMAT_ARROW_HTTP

if TYPE_CHECKING:
    from connector.api.flight import FlightDoor


class StreamDoors:
    """Opens the Arrow HTTP door, and the Flight door where one is set."""

    def __init__(self, streams: Streams, settings: StreamSettings) -> None:
        """Make the doors; nothing listens before `start`."""
        self._settings = settings
        self._streams = streams
        self._http = ArrowHttpDoor(
            streams=streams,
            host=settings.host,
            port=settings.port,
            most_streams=settings.most_streams,
            send_seconds=settings.stall_seconds,
        )
        self._flight: FlightDoor | None = None
        self._http_url: str | None = None
        self._flight_url: str | None = None

    def start(self) -> None:
        """Listen."""
        host, port = self._http.start()
        self._http_url = (self._settings.public_url or f"http://{host}:{port}").rstrip("/")
        if self._settings.flight_port is not None:
            from connector.api.flight import FlightDoor  # gRPC is loaded only where it is wanted

            self._flight = FlightDoor(
                streams=self._streams,
                host=self._settings.host,
                port=self._settings.flight_port,
                most_streams=self._settings.most_streams,
                stall_seconds=self._settings.stall_seconds,
            )
            flight_host, flight_port = self._flight.start()
            self._flight_url = (self._settings.flight_url or f"grpc://{flight_host}:{flight_port}").rstrip(
                "/"
            )

    def stop(self) -> None:
        """Stop listening, and break the streams that are open."""
        self._http.stop()
        if self._flight is not None:
            self._flight.stop()

    def address(self, transfer: str, wanted: str, ticket: str) -> DataAddress:
        """Return where a transfer's data is, in the wanted format, with its ticket.

        The properties stand under their short names and under EDC's, which reads only those.

        Raises:
            NotFound: if there is no door for this format here.
            Unavailable: if the doors do not listen yet.
        """
        if wanted == FORMAT_ARROW_FLIGHT:
            if self._flight_url is None:
                raise NotFound(f"format {wanted} is not served here; choose {FORMAT_ARROW_HTTP}")
            return _address(ENDPOINT_FLIGHT, f"{self._flight_url}/{quote(transfer, safe=':')}", ticket)
        if self._http_url is None:
            raise Unavailable("the data doors are not open yet; try again")
        return _address(ENDPOINT_HTTP, f"{self._http_url}{PATH}{quote(transfer, safe=':')}", ticket)


def _address(kind: str, endpoint: str, ticket: str) -> DataAddress:
    values = {
        "authorization": ticket,
        "authType": "bearer",
        EDC + "endpoint": endpoint,
        EDC + "endpointType": kind,
        EDC + "authorization": ticket,
    }
    properties = tuple(EndpointProperty(name=name, value=value) for name, value in values.items())
    return DataAddress(endpoint_type=kind, endpoint=endpoint, endpoint_properties=properties)
