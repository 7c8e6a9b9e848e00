"""The settings of a catalogue: defaults < TOML file < environment (`HANSA_…`, nested by `__`).

An unknown key is an error that names it; relative paths in a file are relative to that file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import SettingsConfigDict

from schemas.binding.settings import ProcessSettings, read_settings
from schemas.identity import did_for


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EgressSettings(_Section):
    """Where the catalogue may connect to besides public addresses."""

    allow: tuple[str, ...] = Field(default=(), description="networks in CIDR form, for example 10.0.0.0/8")


class MemberSettings(_Section):
    """Who belongs to the data space: the catalogue signs the list as its authority, or serves a given one."""

    space: str = Field(default="hansa", description="the name of the data space, in the signed list")
    authority_key_file: Path | None = Field(
        default=None, description="the authority's private key (JWK): this catalogue signs the list itself"
    )
    authority_file: Path | None = Field(
        default=None, description="the authority's public key (JWK), where the list is signed elsewhere"
    )
    list_file: Path | None = Field(
        default=None, description="the signed list; default members.jwt in data_dir"
    )
    life_days: int = Field(default=30, ge=1, le=366, description="days for which a signed list holds")


class OriginSettings(_Section):
    """A participant whose catalogue is crawled."""

    id: str = Field(description="the participant's DID")
    url: str = Field(description="base URL of its DSP endpoints")


class Settings(ProcessSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(nested_model_default_partial_update=True)

    title: str = Field(default="Data catalogue", description="name on the pages")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8100, ge=1, le=65535, description="port to listen on")
    public_url: str = Field(
        default="", description="URL by which others reach it; default http://localhost:<port>"
    )
    data_dir: Path = Field(
        default=Path("."), description="keys, member list and the default database; default beside the file"
    )
    database_url: str = Field(
        default="", repr=False, description="postgresql://… ; default SQLite in data_dir"
    )
    public_search: bool = Field(default=True, description="whether search and pages are open to everyone")
    crawl_interval: float = Field(
        default=300.0, ge=1.0, description="seconds between two crawls of an origin"
    )
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="least level that is logged"
    )
    origins: tuple[OriginSettings, ...] = Field(default=(), description="participants to crawl")
    egress: EgressSettings = EgressSettings()
    members: MemberSettings = MemberSettings()

    @field_validator("public_url")
    @classmethod
    def _plain_root(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and (not value.startswith(("http://", "https://")) or value.count("/") > 2):
            raise ValueError(
                "expected an http(s) URL without a path, for example https://catalogue.example.org"
            )
        return value

    @property
    def root(self) -> str:
        """The URL by which others reach the catalogue, without a trailing slash."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def did(self) -> str:
        """The catalogue's own participant id."""
        return did_for(self.root)


_PATHS = (
    ("data_dir",),
    ("members", "authority_key_file"),
    ("members", "authority_file"),
    ("members", "list_file"),
)


def _anchor(values: dict[str, Any], folder: Path) -> None:
    """Make the paths of a settings file relative to that file; without one, data lie beside it."""
    values.setdefault("data_dir", ".")
    for *sections, name in _PATHS:
        table = values
        for section in sections:
            inner = table.get(section)
            table = inner if isinstance(inner, dict) else {}
        if isinstance(table.get(name), str):
            table[name] = str(folder / table[name])


def load_settings(path: Path | None) -> Settings:
    """Read the settings file, then let the environment override it.

    Raises:
        Misconfigured: naming the key that is unknown or does not fit, and the file.
    """
    return read_settings(Settings, path, _anchor, "hansa catalog init DIR")
