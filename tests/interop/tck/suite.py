"""Runs the DSP TCK against a connector process: `python -m tests.interop.tck` for people, `run` for tests."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from connector.client.management import Management
from connector.demo.space import LOOPBACK
from connector.settings import API_KEY_FILE
from schemas.binding.client import Egress, Http
from schemas.binding.paths import DSP_PREFIX
from tests.interop.maven import jars, tool
from tests.interop.tck import fixture
from tests.processes import free_ports, serving, write_settings

GROUP, VERSION = "org.eclipse.dataspacetck.dsp", "1.0.0-RC6"
ARTIFACTS = (
    "dsp-api",
    "dsp-system",
    "dsp-metadata",
    "dsp-catalog",
    "dsp-contract-negotiation",
    "dsp-transfer-process",
    "core",
    "boot",
    "tck-runtime",
)
CLIENT = "com.squareup.okhttp3:okhttp-jvm:5.3.0"
"""What Maven takes for okhttp is an empty jar that refers Gradle to this one."""
LAUNCHER = Path(__file__).with_name("RunTck.java")
MOST_SECONDS = 600


@dataclass(frozen=True)
class Outcome:
    """What became of one test of the kit."""

    id: str
    outcome: str
    milliseconds: int
    why: str

    @property
    def passed(self) -> bool:
        """Whether it passed."""
        return self.outcome == "passed"


def fetch() -> Path:
    """The kit's class path, fetched once."""
    return jars("dsp-tck", [f"{GROUP}:{name}:{VERSION}" for name in ARTIFACTS] + [CLIENT])


def run(home: Path, database_url: str | None = None, prefixes: tuple[str, ...] = ()) -> list[Outcome]:
    """Run the kit (or the tests whose ids start with a prefix) against a fresh connector.

    Args:
        home: an empty folder; it keeps the connector's log and the kit's output.
        database_url: of an empty PostgreSQL database; default SQLite.
        prefixes: of test ids.

    Raises:
        RuntimeError: if the kit ran no test, or did not end.
    """
    classes = fetch()
    port, kit_port = free_ports(2)
    url, data = f"http://localhost:{port}", home / "data"
    fixture.write_data(data)
    config = write_settings(home / "connector", fixture.settings(port, data, database_url))
    with serving("connector", config, url) as place:
        http = Http(Egress.allowing(LOOPBACK), timeout=30)
        key = (config.parent / "state" / API_KEY_FILE).read_text(encoding="utf-8").strip()
        management = Management(url, key, http)
        database = database_url or f"sqlite:///{config.parent / 'state' / 'connector.sqlite'}"
        fixture.seed(database, management, place.did, f"http://localhost:{kit_port}")
        with fixture.web_hooks(management) as hooks:
            told = fixture.properties(kit_port, url, url + DSP_PREFIX, place.did, hooks)
            (home / "tck.properties").write_text(told, encoding="utf-8")
            outcomes = _launch(home, classes, prefixes)
        http.close()
    return outcomes


def _launch(home: Path, classes: Path, prefixes: tuple[str, ...]) -> list[Outcome]:
    command = [tool("java"), "-Xmx256m", "-cp", f"{classes}/*", str(LAUNCHER)]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("DATASPACETCK_")}
    log = home / "tck.log"
    with log.open("wb") as output:
        ended = subprocess.run(
            [*command, str(home / "tck.properties"), *prefixes],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=quiet,
            timeout=MOST_SECONDS,
            check=False,
        )
    said = log.read_text(encoding="utf-8", errors="replace")
    outcomes = [
        Outcome(test, outcome, int(milliseconds), why)
        for _, outcome, milliseconds, test, why in (
            line.split("\t", 4) for line in said.splitlines() if line.startswith("TEST\t")
        )
    ]
    failed = any(one.outcome == "failed" for one in outcomes)
    if not outcomes or ended.returncode not in (0, 1) or (ended.returncode == 1) is not failed:
        raise RuntimeError(
            f"the kit ended with {ended.returncode} after {len(outcomes)} tests:\n{said[-3000:]}"
        )
    return outcomes
