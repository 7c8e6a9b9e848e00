"""The first thing that a newcomer runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


def test_the_demo_tells_the_whole_story_and_ends_well() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "connector", "demo"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "COLUMNS": "160"},
        stdin=subprocess.DEVNULL,
    )
    told = ran.stdout
    assert ran.returncode == 0, told + ran.stderr
    assert "2,293 datasets" in told
    assert "first streamed batch" in told
    assert re.search(r"AUC 0\.[5-9]", told)
    assert "336,776 rows" in told
    assert re.search(r"youngest patient is (5\d|[6-9]\d)", told)
    assert "case.id is not there" in told
    assert "5,000 rows, then: " in told
    assert "is denied after" in told
    assert "dpv:ScientificResearch" in told
    assert "4 groups are told" in told
    assert "Sie erhalten keine Zeilen, nur Kennzahlen über Gruppen von mindestens 10 Zeilen." in told
    assert "owes the hospital, by its ledger: odrl:attribute, odrl:inform" in told
    assert re.search(r"while it streams: ended after \d+ ms:\n.*the operator changed its mind", told)
    assert told.count("verified to size") == 2
    assert re.search(r"broken\s+tree: entry \d+", told)
    held = re.search(r"holds ([\d,]+) MiB resident", told)
    assert held is not None
    assert int(held[1].replace(",", "")) < 800
    for shame in (
        "was not denied",
        "more rows came",
        "after the revocation",
        "not completed",
        "was not caught",
        "Traceback",
    ):
        assert shame not in told


def test_what_ends_a_demo_amid_its_story_ends_all_its_processes(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "connector", "demo", "--folder", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("1. "):
            break
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=120)
    assert demo.returncode
    files = [file.read_text(encoding="utf-8") for file in tmp_path.glob("space/*/hansa.toml")]
    ports = [int(port) for text in files for port in re.findall(r"^port = (\d+)", text, re.M)]
    assert len(ports) == 5
    for port in ports:
        with socket.socket() as tried:
            assert tried.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still served"


def test_what_ends_a_demo_that_serves_ends_all_its_processes(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "connector", "demo", "--serve", "--folder", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert demo.stdout is not None
    told = ""
    for line in demo.stdout:
        told += line
        if "Ctrl-C ends it" in line:
            break
    assert "/console  the hospital's console; its key: " in told
    demo.send_signal(signal.SIGTERM)
    rest, _ = demo.communicate(timeout=120)
    assert "Stopping" in rest
    ports = set(map(int, re.findall(r"http://localhost:(\d+)", told)))
    assert len(ports) >= 3
    for port in ports:
        with socket.socket() as tried:
            assert tried.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still served"
