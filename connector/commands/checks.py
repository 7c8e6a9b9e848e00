"""`hansa audit` and `hansa doctor`: is the evidence whole, and is this installation able to work?"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from connector.commands.terminal import out, print_json, print_table
from connector.settings import load
from schemas.binding.client import Egress, Http
from schemas.errors import DataspaceError

app = typer.Typer()

LEAST_DISK = 1 << 30
"""Bytes that should be free: below that, a log that cannot grow would soon stop every stream."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, whether it is well, and what to do if it is not."""

    name: str
    well: bool
    found: str
    fix: str = ""


def examine(config: Path | None) -> Iterator[Check]:
    """Look at everything that has to work before a connector can."""
    release = sys.version_info
    yield Check(
        "Python",
        release >= (3, 11),
        f"{release.major}.{release.minor}.{release.micro}",
        "install Python 3.11",
    )
    yield Check(
        "SQLite", sqlite3.sqlite_version_info >= (3, 35), sqlite3.sqlite_version, "install SQLite 3.35"
    )
    yield Check(
        "pyarrow", int(version("pyarrow").split(".")[0]) >= 26, version("pyarrow"), "pip install -U pyarrow"
    )
    if config is None:
        return
    try:
        settings = load(config)
    except DataspaceError as error:
        yield Check("settings", False, str(error), "correct the file; see `hansa connector init --help`")
        return
    yield Check("settings", True, str(config))
    yield Check("identity", settings.members is not None, settings.did, "set [members] url and authority")
    if settings.trust != "members":
        yield Check("trust", False, f"{settings.trust}: anybody can be anybody", "set trust to members")
    told = settings.stream.public_url or f"http://{settings.stream.host}"
    reachable = settings.loopback or settings.stream.public_url is not None or not settings.data.roots
    yield Check("stream address", reachable, told, "consumers are sent there: set [stream] public_url")
    folder = settings.data_dir if settings.data_dir.exists() else settings.data_dir.parent
    free = shutil.disk_usage(folder).free
    yield Check("disk", free > LEAST_DISK, f"{free / 2**30:.1f} GiB free at {folder}", "free some space")
    yield Check("writable", os.access(folder, os.W_OK), str(folder), "make the folder writable for this user")
    for root in settings.data.roots:
        yield Check(
            "data folder", os.access(root, os.R_OK), str(root), "make it readable, or correct [data] roots"
        )
    http = Http(Egress.allowing(settings.egress.allow), timeout=5)
    places = [
        ("DID document", f"{settings.public_url}/.well-known/did.json", "start it: hansa connector serve")
    ]
    places += [("member list", settings.members.url, "is the catalogue up?")] if settings.members else []
    places += [("catalogue", f"{each.url}/healthz", "is the catalogue up?") for each in settings.catalogs]
    for name, url, fix in places:
        yield _reachable(http, name, url, fix)


def _reachable(http: Http, name: str, url: str, fix: str) -> Check:
    try:
        reply = http.get(url)
    except DataspaceError as error:
        return Check(name, False, str(error), fix)
    return Check(name, reply.ok, f"{url} answers {reply.status}", fix)


@app.command()
def doctor(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", envvar="HANSA_CONFIG", help="Settings file to check as well."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Check what a connector needs, and say how to mend what is not well."""
    checks = list(examine(config))
    if as_json:
        print_json([check.__dict__ for check in checks])
    else:
        rows = [
            ("well" if check.well else "not well", check.name, check.found, "" if check.well else check.fix)
            for check in checks
        ]
        print_table(("", "what", "found", "to do"), rows, "")
        out.print(
            "All well." if all(check.well for check in checks) else "Something is not well.", markup=False
        )
    if not all(check.well for check in checks):
        raise typer.Exit(1)
