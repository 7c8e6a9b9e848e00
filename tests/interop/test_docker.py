"""The images and compose files, judged without an engine: by hadolint, by compose and by our own settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from joserfc.jwk import OKPKey

import catalog.settings
import connector.settings
from schemas.identity import did_for, verify_members

pytestmark = pytest.mark.interop

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
BIN = Path(sys.executable).parent
DOCKERFILES = ("connector.Dockerfile", "catalog.Dockerfile")
PARTICIPANTS = ("mobility", "hospital", "lab", "developer")
PASSWORD = {"HANSA_DB_PASSWORD": "given-by-the-test"}


@cache
def compose(*files: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `docker compose config`, or the same of Debian's docker-compose; without either the test fails."""
    plugin = (
        shutil.which("docker")
        and not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    )
    command = ["docker", "compose"] if plugin else ["docker-compose"]
    named = [part for file in files for part in ("-f", str(DOCKER / file))]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HANSA_")}
    return subprocess.run(
        [*command, *named, "config"], env=clean | variables, capture_output=True, text=True, check=False
    )


def services(*files: str, **variables: str) -> dict[str, Any]:
    ran = compose(*files, **variables)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = yaml.safe_load(ran.stdout)["services"]
    return found


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in (service.get("environment") or {}).items()}


def last_stage(text: str) -> str:
    return re.split(r"^FROM ", text, flags=re.MULTILINE)[-1]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str) -> None:
    ran = subprocess.run([BIN / "hadolint", DOCKER / name], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_runs_hansa_as_an_unprivileged_user_and_says_whether_it_is_healthy(name: str) -> None:
    stage = last_stage((DOCKER / name).read_text(encoding="utf-8"))
    kind = name.split(".")[0]
    assert "\nUSER 10001\n" in stage
    assert 'ENTRYPOINT ["hansa"]' in stage
    assert f'CMD ["{kind}", "serve", "--config", "/etc/hansa/{kind}.toml"]' in stage
    assert "HEALTHCHECK" in stage
    assert "/healthz" in stage


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_an_image_copies_is_there_and_is_sent_to_the_engine(name: str) -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [line[1:] for line in ignore if line.startswith("!")]
    copies = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (DOCKER / name).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert copies
    for source in (each for line in copies for each in line.split()):
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in sent), f".dockerignore keeps {source} back"


def image_settings(name: str) -> dict[str, str]:
    stage = last_stage((DOCKER / name).read_text(encoding="utf-8"))
    return dict(re.findall(r"(HANSA_[A-Z_]+)=(\S+)", stage))


@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "compose.scale.yaml"]])
def test_compose_accepts_the_files_and_every_service_of_ours_is_hardened(files: list[str]) -> None:
    found = services(*files, **PASSWORD)
    assert {"space", "init", "publish", "catalog", *PARTICIPANTS} <= set(found)
    for name, service in found.items():
        assert service.get("privileged") is not True, name
        assert "no-new-privileges:true" in service["security_opt"], name
    for name in ("catalog", *PARTICIPANTS):
        service = found[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "user" not in service, f"{name} overrides the image's unprivileged user"


def test_every_service_starts_with_a_command_that_hansa_has() -> None:
    found = services("compose.yaml")
    commands = {name: found[name]["command"] for name in ("catalog", *PARTICIPANTS)}
    assert commands.pop("catalog") == ["catalog", "serve", "--config", "/data/catalog.toml"]
    assert set(map(tuple, commands.values())) == {("connector", "serve", "--config", "/data/hansa.toml")}
    for kind in ("catalog", "connector"):
        ran = subprocess.run(
            [BIN / "hansa", kind, "serve", "--help"], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        assert "--config" in ran.stdout


def test_no_file_holds_a_secret_and_the_overlay_refuses_to_start_without_a_password() -> None:
    for name, service in services("compose.yaml").items():
        assert not [key for key in environment(service) if re.search("PASSWORD|SECRET|KEY|TOKEN", key)], name
    assert "HANSA_DB_PASSWORD=\n" in (DOCKER / ".env.example").read_text(encoding="utf-8")
    refused = compose("compose.yaml", "compose.scale.yaml", HANSA_DB_PASSWORD="")
    assert refused.returncode != 0
    assert "HANSA_DB_PASSWORD" in refused.stderr


def test_the_overlay_puts_each_participant_on_a_database_that_is_made() -> None:
    found = services("compose.yaml", "compose.scale.yaml", **PASSWORD)
    made = set(
        re.findall(r"CREATE DATABASE (\w+);", (DOCKER / "seed" / "databases.sql").read_text(encoding="utf-8"))
    )
    made.add(environment(found["database"])["POSTGRES_DB"])
    used = {
        name: environment(found[name])["HANSA_DATABASE_URL"].rsplit("/", 1)[1]
        for name in ("catalog", *PARTICIPANTS)
    }
    assert len(set(used.values())) == len(used)
    assert set(used.values()) == made
    assert PASSWORD["HANSA_DB_PASSWORD"] not in "".join(
        environment(service).get("HANSA_DATABASE_URL", "") for service in found.values()
    )


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the service `init` makes, without the tables."""
    home = tmp_path_factory.mktemp("space")
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    given = {"PATH": path, "SPACE": str(home), "TABLES": "none", "HOME": str(home)}
    ran = subprocess.run(
        ["sh", DOCKER / "seed" / "init.sh"], env=given, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    again = subprocess.run(
        ["sh", DOCKER / "seed" / "init.sh"], env=given, capture_output=True, text=True, check=False
    )
    assert again.stdout == "The data space is already made.\n"
    return home


def use_environment(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("HANSA_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", PARTICIPANTS)
def test_a_connector_takes_every_setting_of_image_and_compose_file(
    name: str, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = environment(services("compose.yaml", "compose.scale.yaml", **PASSWORD)[name])
    use_environment(monkeypatch, image_settings("connector.Dockerfile") | given)
    settings = connector.settings.load(space / name / "hansa.toml")
    assert settings.host == "0.0.0.0"
    assert settings.did == did_for(f"http://localhost:{given['HANSA_PORT']}")
    assert settings.port == int(given["HANSA_PORT"])
    assert settings.data.roots == (Path("/data/files"),)
    assert [each.url for each in settings.catalogs] == ([] if name == "lab" else ["http://localhost:8100"])
    assert settings.members is not None
    assert settings.database.endswith(f"/{name}")


def test_the_catalogue_takes_every_setting_and_knows_every_member(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = services("compose.yaml")
    use_environment(monkeypatch, image_settings("catalog.Dockerfile") | environment(found["catalog"]))
    settings = catalog.settings.load_settings(space / "catalog" / "catalog.toml")
    assert settings.port == 8100
    assert [origin.id for origin in settings.origins] == [
        did_for(f"http://localhost:{environment(found['lab'])['HANSA_PORT']}")
    ]
    authority = OKPKey.import_key(
        json.loads((space / "catalog" / "authority.pub.json").read_text(encoding="utf-8"))
    )
    signed = space / "catalog" / "members.jwt"
    written = datetime.fromtimestamp(signed.stat().st_mtime, UTC)
    members = verify_members(signed.read_text(encoding="ascii").strip(), authority, written).members
    listed = {member.id: member.roles for member in members}
    wanted = {did_for(f"http://localhost:{environment(found[name])['HANSA_PORT']}") for name in PARTICIPANTS}
    assert set(listed) == wanted | {settings.did}
    assert listed[settings.did] == ("catalog",)
