"""Settings of a connector: defaults < TOML file < environment; an unknown name is an error.

Environment: prefix `HANSA_`, two underscores between levels: `HANSA_DATABASE_URL`, `HANSA_STREAM__PORT`.
Secrets stand in files beside the database, never in settings; `database_url` may hold a password, so it is
a secret in every output.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.binding.settings import ProcessSettings, read_settings
from schemas.identity import did_for

KEY_FILE = "key.json"
"""The file in `data_dir` that holds the participant's key (JWK)."""
API_KEY_FILE = "api-key"
"""The file in `data_dir` that holds the key of the management door."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogSettings(_Section):
    """A shared catalogue that this connector pushes to, and asks in its own name."""

    id: str = Field(description="DID of the catalogue")
    url: str = Field(description="base URL of the catalogue, without a trailing slash")
    push: bool = Field(default=True, description="push what is offered; else the catalogue is only asked")


class StreamSettings(_Section):
    """The doors through which data leaves."""

    host: str = Field(default="127.0.0.1", description="address that the stream doors listen on")
    port: int = Field(
        default=0, ge=0, le=65535, description="port of the Arrow HTTP door; 0 picks a free one"
    )
    public_url: str | None = Field(
        default=None, description="URL under which consumers reach the HTTP door; default: host and port"
    )
    flight_port: int | None = Field(
        default=None, ge=0, le=65535, description="port of the Arrow Flight door; leave out for none"
    )
    flight_url: str | None = Field(default=None, description="grpc URL under which consumers reach Flight")
    most_streams: int = Field(default=64, ge=1, le=4096, description="streams at a time; more get 503")
    stall_seconds: float = Field(
        default=60.0,
        ge=0.1,
        le=86_400,
        description="how long a reader may take nothing; for a whole batch it may take three times as long",
    )


class DataSettings(_Section):
    """Where the data files of this holder lie."""

    roots: tuple[Path, ...] = Field(default=(), description="folders below which files may be published")


class MemberSettings(_Section):
    """Who belongs to the data space, as its authority signs it."""

    url: str = Field(description="where the signed member list is served")
    authority: dict[str, str] = Field(description="public key (JWK) of the authority that signs the list")


class EgressSettings(_Section):
    """Which addresses this connector connects to, besides public ones."""

    allow: tuple[str, ...] = Field(default=(), description="networks in CIDR form, e.g. 10.20.0.0/16")


class RuleSettings(_Section):
    """What to do in one state by itself; the first rule that fits decides, and no rule overrides a policy."""

    when: str = Field(description="the state, as in the Dataspace Protocol: REQUESTED, OFFERED, STARTED, …")
    do: str = Field(
        description="proceed, hold, end; offer, counter (negotiations); complete, suspend, resume (transfers)"
    )
    role: Literal["provider", "consumer"] | None = Field(
        default=None, description="our own role; default both"
    )
    about: str = Field(
        default="*", description="dataset of a negotiation, agreement of a transfer; * stands for anything"
    )
    counterparty: str = Field(default="*", description="participant id; * stands for anything")
    visit: int | None = Field(
        default=None, ge=1, description="only when the state was entered so many times; default every time"
    )
    after: float = Field(default=0, ge=0, description="seconds in the state before the rule acts")
    why: str = Field(default="", max_length=400, description="the reason that the counterparty is told")


class NegotiationSettings(_Section):
    """How negotiations are decided."""

    automatic: bool = Field(
        default=True, description="agree when a request fits an offer; false holds it for a person"
    )
    counter_offers: Literal["answer", "agree", "refuse"] = Field(
        default="answer",
        description="a request whose terms differ from the offer: answer it with the offer; agree if it asks "
        "for no more than the offer, else refuse it; or refuse it; refusals say which terms are too wide",
    )
    deadline_seconds: float = Field(
        default=900, gt=0, description="how long a message is retried before its process is ended"
    )
    retried_statuses: tuple[Annotated[int, Field(ge=400, le=499)], ...] = Field(
        default=(), description="4xx answers of peers that are tried again, besides 408, 425 and 429"
    )
    rules: tuple[RuleSettings, ...] = Field(default=(), description="what to do by itself; see Rules")


class TransferSettings(_Section):
    """How transfers are decided, once the policy permits the use."""

    automatic: bool = Field(
        default=True, description="start what the policy permits; false holds it for a person"
    )
    most_pushes: int = Field(
        default=0, ge=0, le=256, description="pushes at a time to consumers that ask for one; 0: they pull"
    )
    rules: tuple[RuleSettings, ...] = Field(default=(), description="what to do by itself; see Rules")


class ControlPlaneSettings(_Section):
    """A foreign control plane that may use this data plane; secrets stand in files."""

    id: str = Field(min_length=1, max_length=200, description="name of the control plane, yours to choose")
    url: str = Field(
        description="base URL of what it serves to data planes; it is told nothing anywhere else"
    )
    participant: str = Field(description="participant for which it speaks: the assigner of its agreements")
    token_file: Path = Field(description="file with the token that it shows when it calls")
    dialect: Literal["dps", "edc-0.15"] = Field(
        default="dps", description="dps: Data Plane Signaling; edc-0.15: EDC 0.14 to 0.17"
    )
    authorization_file: Path | None = Field(
        default=None, description="file with the Authorization header that we show it; leave out for none"
    )
    agreements: str | None = Field(
        default=None,
        description="URL below which agreements are read by id; default: url/transfers/<id>/agreement",
    )
    agreements_header: str = Field(
        default="X-Api-Key", description="header in which agreements_key_file's key is shown"
    )
    agreements_key_file: Path | None = Field(
        default=None, description="file with the key for 'agreements'; leave out for none"
    )
    asynchronous: bool = Field(
        default=False, description="answer its requests at once, and tell it later how they went"
    )


PROFILES = (
    "ArrowStream-PULL",
    "ArrowStream-PUSH",
    "HttpData-PULL",
    "HttpData-PUSH",
    "http-pull",
    "http-push",
    "https://w3id.org/dspace-sig/profile/http-pull",
    "https://w3id.org/dspace-sig/profile/http-push",
)
"""Transfer profiles that are served: Arrow streams over HTTP, under the names that they go by."""


class SignalingSettings(_Section):
    """Foreign control planes that use this data plane."""

    control_planes: tuple[ControlPlaneSettings, ...] = Field(
        default=(), description="who may call /signaling; empty: nobody"
    )
    profiles: tuple[str, ...] = Field(default=PROFILES, description="transfer profiles that are served")
    most_pushes: int = Field(default=8, ge=1, le=256, description="pushes at a time; others wait")


class ReceiveSettings(_Section):
    """What may be pushed to this connector; it lands in data_dir/received."""

    most_bytes: int = Field(default=10 << 30, ge=1, description="bytes of one file; more are refused")
    most_files: int = Field(default=10_000, ge=1, description="files that are kept; more are refused")
    most_bytes_kept: int = Field(
        default=100 << 30, ge=1, description="bytes of all files that are kept; more are refused"
    )
    stall_seconds: float = Field(
        default=60, gt=0, description="how long a sender may take for 'least_bytes' before it is given up"
    )
    least_bytes: int = Field(
        default=1 << 10, ge=1, le=1 << 20, description="bytes that have to arrive within 'stall_seconds'"
    )
    most_seconds: float = Field(
        default=6 * 3600, gt=0, description="how long one file may take to arrive before it is given up"
    )


class Settings(ProcessSettings):
    """All settings of a connector."""

    name: str = Field(default="A connector", description="name of the participant, shown to people")
    public_url: str = Field(
        default="http://localhost:8101", description="URL under which peers reach this connector"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8101, ge=1, le=65535, description="port to listen on")
    data_dir: Path = Field(default=Path("state"), description="folder for database, keys and log tiles")
    database_url: SecretStr | None = Field(
        default=None, description="postgresql+psycopg://… ; default: SQLite in data_dir"
    )
    log_level: str = Field(default="info", description="debug, info, warning or error")
    catalogs: tuple[CatalogSettings, ...] = Field(
        default=(), description="shared catalogues to push to and to ask"
    )
    members: MemberSettings | None = Field(default=None, description="the data space's member list")
    trust: Literal["members", "edc-mock"] = Field(
        default="members",
        description="how participants prove themselves; edc-mock proves nothing, for tests with EDC",
    )
    profile: Literal["production", "test"] = Field(
        default="production", description="test allows what must never face a network, such as edc-mock"
    )
    stream: StreamSettings = Field(default_factory=StreamSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    egress: EgressSettings = Field(default_factory=EgressSettings)
    negotiation: NegotiationSettings = Field(default_factory=NegotiationSettings)
    transfer: TransferSettings = Field(default_factory=TransferSettings)
    signaling: SignalingSettings = Field(default_factory=SignalingSettings)
    receive: ReceiveSettings = Field(default_factory=ReceiveSettings)

    @model_validator(mode="after")
    def _no_mock_in_production(self) -> Self:
        exposed = self.profile != "test" or self.host not in LOOPBACK or not self.loopback
        if self.trust == "edc-mock" and exposed:
            raise ValueError(
                "trust 'edc-mock' lets anybody be anybody: it needs profile 'test' and loopback addresses; "
                f"profile is {self.profile!r}, host {self.host!r}, public_url {self.public_url!r}. "
                "Use trust 'members'"
            )
        return self

    @property
    def did(self) -> str:
        """The participant's id, made from where its DID document is served."""
        return did_for(self.public_url)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'connector.sqlite'}"

    @property
    def loopback(self) -> bool:
        """Whether this connector is reachable from its own machine only."""
        return urlsplit(self.public_url).hostname in LOOPBACK


def load(path: Path | None) -> Settings:
    """Read settings; relative paths in a file are relative to the file.

    Raises:
        Misconfigured: naming the file and the setting.
    """
    return read_settings(Settings, path, _anchor, "hansa connector init DIR")


def _anchor(given: dict[str, Any], home: Path) -> None:
    given["data_dir"] = str(home / str(given.get("data_dir", "state")))
    data = given.get("data")
    if isinstance(data, dict) and isinstance(data.get("roots"), list):
        data["roots"] = [str(home / str(root)) for root in data["roots"]]
    signaling = given.get("signaling")
    planes = signaling.get("control_planes") if isinstance(signaling, dict) else None
    for plane in planes if isinstance(planes, list) else ():
        for name in ("token_file", "authorization_file", "agreements_key_file"):
            if isinstance(plane, dict) and name in plane:
                plane[name] = str(home / str(plane[name]))
