"""A name leads to one dataset, and a user to the own connector; or the error says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.client.find import Hit, one_dataset, read_hit, search
from connector.client.setup import setup, stream_egress
from schemas.errors import EgressForbidden, Malformed, Misconfigured, NotFound, PeerUnavailable

IDS = (
    "urn:hansa:localhost%3A8101:nycflights13.flights",
    "urn:hansa:localhost%3A8102:survival.colon",
    "urn:hansa:localhost%3A8103:lab.semicolon",
    "urn:hansa:localhost%3A8103:ggplot2.diamonds",
    "urn:hansa:localhost%3A8104:ggplot2.diamonds",
)


def hit(dataset: str) -> Hit:
    provider = "did:web:" + dataset.split(":")[2]
    return Hit(dataset, f"Title of {dataset.rsplit('.', 1)[-1]}", provider, "http://x", ())


HITS = [hit(dataset) for dataset in IDS]


@pytest.mark.parametrize(
    "name", ["…flights", "...flights", "flights", "nycflights13.flights", IDS[0], "Title of flights"]
)
def test_an_id_its_end_or_a_title_name_one_dataset(name: str) -> None:
    assert one_dataset(HITS, name).id == IDS[0]


def test_the_end_of_an_id_is_whole_words() -> None:
    assert one_dataset(HITS, "…colon").id == IDS[1]


def test_a_name_that_fits_several_lists_them() -> None:
    with pytest.raises(Malformed, match="fits 2 datasets") as caught:
        one_dataset(HITS, "…diamonds")
    assert all(dataset in str(caught.value) for dataset in IDS[3:])


def test_a_name_that_fits_none_tells_what_was_found() -> None:
    with pytest.raises(NotFound, match=r"no dataset is called.*nycflights13"):
        one_dataset(HITS[:1], "weather")
    with pytest.raises(NotFound, match="nothing like it"):
        one_dataset([], "weather")


def test_a_hit_lacking_what_is_needed_is_refused_by_the_name_of_it() -> None:
    good = {"id": "urn:x", "provider": "did:web:p", "endpoint": "https://p/dsp", "offers": [{"@id": "o"}]}
    assert read_hit(good).offers == ({"@id": "o"},)
    for lacking in ("id", "provider", "endpoint"):
        with pytest.raises(Malformed, match=f"'{lacking}'"):
            read_hit({**good, lacking: None})
    with pytest.raises(Malformed):
        read_hit("text")


def test_a_catalogue_that_is_not_there_is_named() -> None:
    with pytest.raises(PeerUnavailable, match=r"no catalogue at http://127\.0\.0\.1:9"):
        search("http://127.0.0.1:9", "x")


class TestSetup:
    """Which connector speaks for the user."""

    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        for name in ("HANSA_CONNECTOR", "HANSA_API_KEY", "HANSA_API_KEY_FILE"):
            monkeypatch.delenv(name, raising=False)
        path = tmp_path / "client.toml"
        monkeypatch.setattr("connector.client.setup.CONFIG", path)
        return path

    def test_without_anything_the_error_says_what_to_set(self) -> None:
        with pytest.raises(Misconfigured, match="HANSA_CONNECTOR"):
            setup()
        with pytest.raises(Misconfigured, match="HANSA_API_KEY"):
            setup("http://localhost:8101")
        with pytest.raises(Misconfigured, match="expected a URL"):
            setup("localhost:8101", "k")

    def test_arguments_go_before_environment_before_file(
        self, clean: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clean.write_text('connector = "http://file:1/"\nkey = "from file"\n')
        assert (setup().connector, setup().key) == ("http://file:1", "from file")
        monkeypatch.setenv("HANSA_CONNECTOR", "http://env:2")
        monkeypatch.setenv("HANSA_API_KEY", "from env")
        assert (setup().connector, setup().key) == ("http://env:2", "from env")
        assert setup("http://arg:3", "k") == setup("http://arg:3/", "k")

    def test_a_key_is_read_from_its_file_and_never_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "api-key").write_text("very secret\n")
        monkeypatch.setenv("HANSA_API_KEY_FILE", str(tmp_path / "api-key"))
        assert setup("http://localhost:1").key == "very secret"
        assert "very secret" not in repr(setup("http://localhost:1"))
        monkeypatch.setenv("HANSA_API_KEY_FILE", str(tmp_path / "gone"))
        with pytest.raises(Misconfigured, match="gone"):
            setup("http://localhost:1")

    def test_a_typo_in_the_file_is_an_error(self, clean: Path) -> None:
        clean.write_text('conector = "http://x"\n')
        with pytest.raises(Misconfigured, match="'conector'"):
            setup()
        clean.write_text("not toml")
        with pytest.raises(Misconfigured, match="cannot be read"):
            setup()

    def test_data_may_come_from_loopback_only_if_the_own_connector_is_there_too(self) -> None:
        near, far = setup("http://127.0.0.1:8101", "k"), setup("https://connector.example", "k")
        stream_egress(near).check("http://127.0.0.1:5/streams")
        with pytest.raises(EgressForbidden):
            stream_egress(far).check("http://127.0.0.1:5/streams")
