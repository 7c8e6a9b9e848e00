"""How a process reads its settings: defaults < TOML file < environment (`HANSA_…`, nested by `__`).

An unknown name is an error that says which are known; relative paths in a file are relative to that file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.base import describe_validation
from schemas.errors import Misconfigured

PREFIX = "HANSA_"
NO_SETTINGS = frozenset(
    {"HANSA_CONNECTOR", "HANSA_API_KEY", "HANSA_API_KEY_FILE", "HANSA_CONFIG", "HANSA_CATALOG_CONFIG"}
)
"""What the client and the command lines read; no settings of a server."""


class ProcessSettings(BaseSettings):
    """Everything that can be set of one kind of process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment before the file, whose content is given as arguments."""
        return env_settings, init_settings


S = TypeVar("S", bound=ProcessSettings)


def read_settings(
    kind: type[S], path: Path | None, anchor: Callable[[dict[str, Any], Path], None], made_by: str
) -> S:
    """Read the settings of one process.

    Args:
        kind: what can be set.
        path: the TOML file; None: only the environment counts.
        anchor: makes the paths of a file relative to its folder, in place.
        made_by: the command that makes a first file.

    Raises:
        Misconfigured: naming the file and the setting.
    """
    given: dict[str, Any] = {}
    if path is not None:
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Misconfigured(
                f"no settings at {path}; name yours with --config, or make some with: {made_by}"
            ) from None
        except (OSError, ValueError) as error:
            raise Misconfigured(f"settings {path} cannot be read: {error}") from None
        anchor(given, path.resolve().parent)
    _refuse_unknown(kind)
    try:
        return kind(**given)
    except ValidationError as error:
        where = path or "from the environment"
        raise Misconfigured(f"settings {where}: {describe_validation(error)}") from None


def _refuse_unknown(kind: type[ProcessSettings]) -> None:
    """Find misspelt variables, which pydantic-settings would pass over."""
    for name in os.environ:
        field = name.removeprefix(PREFIX).split("__")[0].lower()
        if name.startswith(PREFIX) and name not in NO_SETTINGS and field not in kind.model_fields:
            known = ", ".join(PREFIX + known.upper() for known in kind.model_fields)
            raise Misconfigured(f"environment variable {name} names no setting; known: {known}")
