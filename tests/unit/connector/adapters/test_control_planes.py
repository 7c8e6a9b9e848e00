from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connector.adapters.control_planes import KnownPlanes, plane_access
from connector.settings import ControlPlaneSettings, load
from schemas.errors import Misconfigured

SECRET = "a-secret-of-more-than-sixteen"


def secret(folder: Path, text: str = SECRET, name: str = "token", mode: int = 0o600) -> Path:
    file = folder / name
    file.touch(mode=mode)
    file.chmod(mode)
    file.write_text(text)
    return file


def settings(folder: Path, **changes: Any) -> ControlPlaneSettings:
    given = {"id": "edc", "url": "http://localhost:1/control/", "participant": "provider"}
    return ControlPlaneSettings(**{"token_file": secret(folder), **given, **changes})


def test_a_control_plane_is_known_by_its_token_and_by_nothing_else(tmp_path: Path) -> None:
    first = plane_access(settings(tmp_path))
    second = plane_access(settings(tmp_path, id="other", token_file=secret(tmp_path, SECRET * 2, "second")))
    known = KnownPlanes([first, second])
    assert (known(SECRET), known(SECRET * 2)) == ("edc", "other")
    for shown in ("", SECRET[:-1], SECRET + "x", "edc", "\ud800"):
        assert known(shown) is None
    assert not KnownPlanes([])
    assert SECRET not in repr(first)
    assert first.plane.url == "http://localhost:1/control"


def test_control_planes_that_could_be_taken_for_each_other_are_refused(tmp_path: Path) -> None:
    """With one id, the token of either would speak for the participant of the other."""
    first = plane_access(settings(tmp_path))
    same_id = plane_access(settings(tmp_path, token_file=secret(tmp_path, SECRET * 2, "second")))
    with pytest.raises(Misconfigured, match="two have the id 'edc'"):
        KnownPlanes([first, same_id])
    with pytest.raises(Misconfigured, match="'edc' and 'other' show the same token") as refused:
        KnownPlanes([first, plane_access(settings(tmp_path, id="other"))])
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (SECRET, 0o644, "others may read this secret"),
        ("short", 0o600, "at least 16"),
        ("", 0o600, "does not hold one line"),
        ("two\nlines of sixteen", 0o600, "does not hold one line"),
        ("ü" * 20, 0o600, "cannot read"),
    ],
)
def test_a_token_that_protects_nothing_is_refused_and_never_shown(
    tmp_path: Path, text: str, mode: int, words: str
) -> None:
    with pytest.raises(Misconfigured, match=words) as refused:
        plane_access(settings(tmp_path, token_file=secret(tmp_path, text, "weak", mode)))
    assert "weak" in str(refused.value)
    assert not text or text not in str(refused.value)


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="nowhere"):
        plane_access(settings(tmp_path, token_file=tmp_path / "nowhere"))


def test_what_the_older_dialect_cannot_do_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="needs 'agreements'"):
        plane_access(settings(tmp_path, dialect="edc-0.15"))
    with pytest.raises(Misconfigured, match="leave 'asynchronous' out"):
        plane_access(settings(tmp_path, dialect="edc-0.15", agreements="http://x", asynchronous=True))
    with pytest.raises(ValidationError, match="dialect"):
        settings(tmp_path, dialect="edc-7")


def test_paths_of_secrets_are_relative_to_the_file_of_settings(tmp_path: Path) -> None:
    file = tmp_path / "hansa.toml"
    file.write_text(
        '[[signaling.control_planes]]\nid = "edc"\nurl = "http://x"\nparticipant = "p"\ntoken_file = "tok"\n'
    )
    (plane,) = load(file).signaling.control_planes
    assert plane.token_file == tmp_path / "tok"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "localhost:19192/control"}, "url is 'localhost:19192/control'; write an http"),
        ({"url": "http://user:pw@localhost/"}, "without user"),
        ({"url": "http://localhost:x/"}, "write an http"),
        ({"agreements": "/management/v3/contractagreements"}, "agreements is '/management"),
        ({"participant": " "}, "participant is empty"),
    ],
)
def test_a_setting_that_could_never_work_is_refused_at_the_start(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(Misconfigured, match=words) as refused:
        plane_access(settings(tmp_path, **changes))
    assert "pw" not in str(refused.value)
