"""Keys are made once, kept for their owner alone, and never shown."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from connector.adapters.keys import load_or_create_key, load_or_create_secret
from schemas.errors import Misconfigured
from schemas.identity import generate_key


def test_a_key_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "key.json"
    key = load_or_create_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = load_or_create_key(file)
    assert again.as_dict(private=True) == key.as_dict(private=True)
    assert key.kid == key.thumbprint()
    assert [item.name for item in file.parent.iterdir()] == ["key.json"]


def test_a_secret_is_made_once_and_has_thirty_two_bytes(tmp_path: Path) -> None:
    secret = load_or_create_secret(tmp_path / "mask")
    assert len(secret) == 32
    assert load_or_create_secret(tmp_path / "mask") == secret
    assert load_or_create_secret(tmp_path / "other") != secret


def test_of_many_makers_at_once_all_get_the_same_key(tmp_path: Path) -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(load_or_create_key(tmp_path / "key").thumbprint()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o777])
def test_a_file_that_others_may_touch_is_refused_by_name(tmp_path: Path, mode: int) -> None:
    for name, load in (("key", load_or_create_key), ("mask", load_or_create_secret)):
        file = tmp_path / name
        load(file)
        file.chmod(mode)
        with pytest.raises(Misconfigured, match=f"{mode:04o}.*chmod 600 {file}"):
            load(file)


def test_a_file_that_holds_something_else_is_refused_and_not_shown(tmp_path: Path) -> None:
    public = json.dumps(generate_key().as_dict(private=False))
    for content in ("", "open-sesame", "[]", '{"kty": "open-sesame"}', public, "\x00\x01"):
        file = tmp_path / "key"
        file.write_text(content)
        file.chmod(0o600)
        for load in (load_or_create_key, load_or_create_secret):
            with pytest.raises(Misconfigured) as caught:
                load(file)
            assert "open-sesame" not in str(caught.value)
            assert str(file) in str(caught.value)


def test_a_place_where_nothing_can_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="cannot read or make"):
        load_or_create_key(tmp_path / "file" / "key")


def test_a_key_never_shows_itself(tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path / "key")
    assert str(key.as_dict(private=True)["d"]) not in repr(key)
