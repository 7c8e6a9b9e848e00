"""The story, told while it happens: publish, find, agree, stream, deny, audit; and what each step took."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from connector.client.find import search
from connector.client.stream import DataStream
from connector.demo import data, holdings
from connector.demo.evidence import flip_a_byte
from connector.demo.last_word import last_word
from connector.demo.publishing import TERMS, Publishing
from connector.demo.space import NAMES, Space, prepare, running
from connector.demo.telling import Telling
from schemas.errors import PeerUnavailable, StreamEnded, UseDenied

RESEARCH = "dpv:ScientificResearch"
PATIENCE = 60.0
"""Seconds after which a catalogue that did not get everything is reported."""


def unpack_tables(console: Console) -> Path:
    """Unpack the real tables into the cache folder, once; return that folder."""
    home = data.cache_home()
    if not home.exists():
        telling = Telling(console)
        telling.say("Unpacking 2,293 real tables to Parquet (once; they are kept in the cache) …")
        with telling.counting("tables", 2293) as done:
            data.unpack(home, lambda count, _: done(count))
        telling.say(f"[faint]{time.perf_counter() - telling.started:.1f} s, kept at {home}[/]")
    return home


def tell(console: Console, tables: Path, *, serve: bool, folder: Path | None) -> None:
    """Tell the whole story.

    Args:
        console: where to.
        tables: folder of the unpacked tables.
        serve: keep the data space running afterwards, until Ctrl-C.
        folder: where the data space keeps its files; a temporary folder if None.
    """
    home = folder or Path(tempfile.mkdtemp(prefix="hansa-demo-"))
    telling = Telling(console)
    # What ends a service ends the processes of the data space too, as Ctrl-C does, from the first of them on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        space = prepare(home / "space", tables, ports=_usual_ports() if serve else None)
        telling.say("Starting one catalogue, three providers and one consumer, each a process of its own …")
        with running(space):
            telling.say(f"[faint]ready after {time.perf_counter() - telling.started:.1f} s[/]")
            _tell_all(telling, space, tables)
            if serve:
                _keep_serving(telling, space)
    finally:
        if folder is None:
            shutil.rmtree(home, ignore_errors=True)


def _usual_ports() -> dict[str, int] | None:
    """On a terminal the pages stay at addresses that are easy to type, if they are free."""
    ports = {"catalog": 8100, "mobility": 8101, "hospital": 8102, "lab": 8103, "developer": 8104}
    for port in ports.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return None
    return ports


def _tell_all(telling: Telling, space: Space, tables: Path) -> None:
    publishing = Publishing(space, tables, datetime.now(UTC))
    try:
        publish(telling, publishing)
        find(telling, space, publishing)
        with open_flights(telling, space) as stream:
            train(telling, stream)
        enforced(telling, space)
        denied(telling, space)
        last_word(telling, space, RESEARCH)
        everything(telling, space, publishing)
    finally:
        publishing.stop()
    audited(telling, space)
    used = space.resident_bytes() / 2**20
    took = time.perf_counter() - telling.started
    telling.say("")
    telling.say(f"[faint]The whole space holds {used:,.0f} MiB resident; the story took {took:.1f} s.[/]")


def publish(telling: Telling, publishing: Publishing) -> None:
    """Wait for the two small holders; the lab goes on while the story does."""
    telling.chapter(1, "Three holders publish their own files, each with an ODRL offer")
    for name in ("mobility", "hospital"):
        publishing.wait(name)
        _tell_holder(telling, publishing, name)
    if publishing.is_done("lab"):
        _tell_holder(telling, publishing, "lab")
    else:
        count = len(publishing.holders["lab"].tables)
        telling.say(f"{NAMES['lab']:<28} {count:>5,} tables, which it publishes while the story goes on")


def _tell_holder(telling: Telling, publishing: Publishing, name: str) -> None:
    holder = publishing.wait(name)
    count, took = f"{holder.published:>5,} datasets", f"{holder.seconds:4.1f} s"
    telling.say(f"{NAMES[name]:<28} {count} in {took}   [faint]{TERMS[name]}[/]")
    for source, reason in holder.refused:
        telling.say(f"[denied]refused[/] {source}: {reason}")


def _await_datasets(telling: Telling, space: Space, publishing: Publishing, wanted: int) -> None:
    """Wait until the catalogue holds so many datasets.

    Raises:
        PeerUnavailable: if it holds fewer when nothing is on its way any more.
    """
    quiet = time.perf_counter()
    with telling.counting("in the catalogue", wanted) as done:
        while (held := space.held()) < wanted:
            if not publishing.is_done("lab"):
                quiet = time.perf_counter()
            elif time.perf_counter() - quiet > PATIENCE:
                raise PeerUnavailable(f"the catalogue holds {held} of {wanted} datasets; no more come")
            done(held)
            time.sleep(0.1)


def everything(telling: Telling, space: Space, publishing: Publishing) -> None:
    """Wait until all of the real tables are in the catalogue."""
    telling.say("")
    total = sum(len(holder.tables) for holder in publishing.holders.values())
    _await_datasets(telling, space, publishing, total)
    _tell_holder(telling, publishing, "lab")
    telling.say(
        f"All {total:,} datasets are in the shared catalogue: two holders pushed, the hospital was crawled"
    )


def find(telling: Telling, space: Space, publishing: Publishing) -> None:
    """Have the hospital crawled, then search."""
    telling.chapter(2, "They are in the shared catalogue: pushed, or crawled over the Dataspace Protocol")
    space.crawl()
    wanted = len(publishing.holders["hospital"].tables)
    start = time.perf_counter()
    while (there := space.held(NAMES["hospital"])) < wanted:
        if time.perf_counter() - start > PATIENCE:
            raise PeerUnavailable(f"the catalogue crawled {there} of {wanted} datasets in {PATIENCE:.0f} s")
        time.sleep(0.1)
    found = search(space.catalog.url, "lung cancer", purpose=RESEARCH, size=3)
    telling.say(
        f"search “lung cancer”: {found['total']} hits in {found['milliseconds']:.1f} ms; {_facets(found)}"
    )
    for hit in found["hits"]:
        answer = hit["eligibility"]["answer"]
        colour = (
            "granted" if answer.startswith("yours") else "denied" if answer.startswith("no") else "waiting"
        )
        telling.say(f"  {hit['title'][:52]:<54}may I train on this? [{colour}]{answer}[/]")


def _facets(found: dict[str, Any]) -> str:
    themes = found["facets"].get("publisher", [])
    return ", ".join(f"{each['label']} {each['count']}" for each in themes[:3])


def open_flights(telling: Telling, space: Space) -> DataStream:
    """Run the line of the README."""
    telling.chapter(3, "An AI developer opens a dataset in one line")
    telling.say(
        f'[faint]connector.open("{space.catalog.url}", "{holdings.FLIGHTS}", purpose="{RESEARCH}")[/]'
    )
    stream = space.open(holdings.FLIGHTS, RESEARCH)
    for step, milliseconds in stream.timings.items():
        telling.say(f"{step:<14}{milliseconds:8.1f} ms")
    telling.say(f"{'together':<14}{sum(stream.timings.values()):8.1f} ms")
    telling.say(
        f"[faint]first streamed batch {time.perf_counter() - telling.started:.1f} s after the start[/]"
    )
    return stream


def train(telling: Telling, stream: DataStream) -> None:
    """Train the small model on the stream."""
    telling.chapter(4, "The stream trains a model, batch by batch")
    from connector.demo.model import LatenessModel

    model = LatenessModel()
    start = time.perf_counter()
    for batch in stream:
        model.learn(batch)
    took = time.perf_counter() - start
    score = model.score()
    shown = f"AUC {score:.3f}" if score is not None else "too few rows for a score"
    rate = model.rows / took
    telling.say(
        f"late flights: {shown} on the held-out tenth; "
        f"{model.rows:,} rows at {rate:,.0f} rows/s, training included"
    )


def enforced(telling: Telling, space: Space) -> None:
    """Show that filter, mask, hidden column and row cap of the hospital held."""
    telling.say("")
    telling.say(f"The hospital's terms for {holdings.PATIENTS}, as they came out of the stream:")
    batches: list[pa.RecordBatch] = []
    with space.open(holdings.PATIENTS, RESEARCH) as stream:
        try:
            batches.extend(stream)
            ended = "complete"
        except StreamEnded as end:
            ended = end.reason
        names = stream.schema.names
    table = pa.Table.from_batches(batches, schema=stream.schema)
    shown = "" if "case.id" in names else "not "
    youngest = pc.min(table.column("age")).as_py()
    first = table.column("id")[0].as_py()
    telling.say(
        f"  [granted]row filter[/]   youngest patient is {youngest}; the terms say {holdings.LEAST_AGE}"
    )
    telling.say(f"  [granted]pseudonym[/]    id is a keyed hash of this agreement: {first}")
    telling.say(f"  [granted]hidden[/]       case.id is {shown}there: {', '.join(names)}")
    telling.say(f"  [granted]row cap[/]      {table.num_rows:,} rows, then: {ended}")


def denied(telling: Telling, space: Space) -> None:
    """Ask for a use that the terms do not allow, and for more rows than they do."""
    telling.chapter(5, "What the terms do not allow does not happen, and says why")
    start = time.perf_counter()
    try:
        space.open(holdings.FLIGHTS, "dpv:Marketing").close()
        telling.say("[denied]a use for marketing was not denied[/]")
    except UseDenied as error:
        took = (time.perf_counter() - start) * 1000
        telling.say(f"opening it for marketing is [denied]denied[/] after {took:.0f} ms:")
        for reason in error.reasons:
            telling.say(f"  {reason}")
    try:
        with space.open(holdings.PATIENTS, RESEARCH) as stream:
            rows = sum(batch.num_rows for batch in stream)
        telling.say(f"[denied]{rows} more rows came[/]")
    except (UseDenied, StreamEnded) as error:
        telling.say("a second helping of the hospital's rows is [denied]denied[/]:")
        telling.say(f"  {error}")


def audited(telling: Telling, space: Space) -> None:
    """Audit the logs with nothing but URLs, then a copy with one flipped byte."""
    telling.chapter(7, "An auditor, with nothing but URLs, verifies the logs and replays every use")
    urls = [_mandate(space, holder) for holder in ("mobility", "hospital")]
    copies = space.home / "copies"
    ran = _audit(*urls, "--save", str(copies))
    for line in ran.stdout.splitlines():
        telling.console.print(f"   {line}", markup=False)
    if ran.returncode:
        telling.say(f"[denied]the audit ended with {ran.returncode}[/]: {ran.stderr}")
    entry = flip_a_byte(copies)
    again = _audit("--copy", str(entry.folder))
    telling.say(f"Then one byte of a copied log is flipped, in the record of entry {entry.index}:")
    for line in (again.stdout + again.stderr).splitlines()[:8]:
        telling.console.print(f"   {line}", markup=False)
    if not again.returncode:
        telling.say("[denied]the flipped byte was not caught[/]")


def _mandate(space: Space, holder: str) -> str:
    """The holder makes a URL for the auditor, whose process gets nothing else."""
    return str(space.management(holder).post("/mandates", {"days": 1})["url"])


def _audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "connector", "audit", *arguments]
    wide = {**os.environ, "COLUMNS": "150"}  # one use a line
    return subprocess.run(command, capture_output=True, text=True, check=False, env=wide)  # noqa: S603 - our own


def _invite(telling: Telling, space: Space) -> None:
    """Say what can be opened and tried, and how it ends."""
    telling.console.print("\n[accent]The data space keeps running.[/] Open:")
    telling.say(f"{space.catalog.url}  the catalogue: search, terms, who takes part")
    hospital = space.participants["hospital"]
    telling.say(
        f"{hospital.url}/console  the hospital's console; its key: {hospital.folder / 'state' / 'api-key'}"
    )
    telling.say("and try, in another terminal:")
    developer = space.participants["developer"]
    # `make demo` runs from a virtual environment that the other terminal has not entered.
    hansa = "hansa" if shutil.which("hansa") else os.path.relpath(Path(sys.executable).parent / "hansa")
    key = developer.folder / "state" / "api-key"
    telling.say(f"  export HANSA_CONNECTOR={developer.url} HANSA_API_KEY_FILE={key}")
    telling.say(f"  {hansa} data search {space.catalog.url} penguins")
    telling.say(f"  {hansa} data open {space.catalog.url} palmerpenguins.penguins -o penguins.parquet")
    telling.say(f"  {hansa} connector status --config {developer.folder / 'hansa.toml'}")
    telling.say("Ctrl-C ends it.")


def _keep_serving(telling: Telling, space: Space) -> None:
    try:
        _invite(telling, space)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        telling.say("Stopping …")
