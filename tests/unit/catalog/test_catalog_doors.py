"""Small parts of the doors: filters, links, forms, figures, settings."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from catalog.api import figures
from catalog.api.dsp import read_cursor, read_filter
from catalog.api.rendering import wanted_format
from catalog.api.search import read_query, read_question
from catalog.settings import load_settings
from schemas.dcat import Column
from schemas.errors import Malformed, Misconfigured
from schemas.foreign import linked
from schemas.vocab import EDC
from tests.catalog_space import column


def query_spec(**members: Any) -> dict[str, Any]:
    return {
        "@type": "QuerySpec",
        "offset": 0,
        "limit": 50,
        "sortOrder": "ASC",
        "filterExpression": [],
        **members,
    }


def test_no_filter_asks_for_everything() -> None:
    assert not read_filter([]).query.narrowed


def test_edcs_query_spec_pages() -> None:
    asked = read_filter([query_spec(offset=100, limit=100)])
    assert (asked.offset, asked.limit) == (100, 100)


def test_edcs_full_names_are_read_too() -> None:
    document = {"@type": EDC + "QuerySpec", EDC + "offset": {"@value": 7}, EDC + "limit": 9}
    asked = read_filter([document])
    assert (asked.offset, asked.limit) == (7, 9)


def test_a_page_is_never_longer_than_ours() -> None:
    assert read_filter([query_spec(limit=2**31 - 1)]).limit == 500


def test_a_criterion_on_the_id_finds_one_dataset() -> None:
    criterion = {"@type": "Criterion", "operandLeft": EDC + "id", "operator": "=", "operandRight": "urn:a"}
    assert read_filter([query_spec(filterExpression=[criterion])]).datasets == ("urn:a",)


def test_several_ids_and_words_can_be_asked_for() -> None:
    several = {"operandLeft": EDC + "id", "operator": "in", "operandRight": ["urn:a", "urn:b"]}
    assert read_filter([query_spec(filterExpression=[several])]).datasets == ("urn:a", "urn:b")
    words = {"operandLeft": "text", "operator": "ilike", "operandRight": "%lung%"}
    assert read_filter([query_spec(filterExpression=[words])]).query.text == "lung"
    like = {"operandLeft": "id", "operator": "like", "operandRight": "urn:%"}
    with pytest.raises(Malformed, match="'id' 'like' is not supported by this catalogue"):
        read_filter([query_spec(filterExpression=[like])])


def test_our_own_filters_narrow() -> None:
    query = read_filter([{"text": "lung", "theme": "HEAL"}]).query
    assert (query.text, query.theme) == ("lung", "HEAL")


@pytest.mark.parametrize(
    "filters",
    [
        ["text"],
        [{"colour": "red"}],
        [{"text": 5}],
        [query_spec(offset=-1)],
        [query_spec(limit="many")],
        [query_spec(sortField="name")],
        [query_spec(filterExpression=[{"operandLeft": "x", "operator": "like", "operandRight": "%"}])],
        [query_spec(filterExpression=["x"])],
        [{"text": "x" * 5000}],
    ],
)
def test_what_is_not_supported_is_refused_and_named(filters: list[Any]) -> None:
    with pytest.raises(Malformed):
        read_filter(filters)


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://a/x?page=2>; rel="next"', "https://a/x?page=2"),
        ('</first>; rel=prev, </x,y?2>; title="a, b"; rel="next"', "/x,y?2"),
        ("<a>; rel=next", "a"),
        ('<a>; rel="previous next"', "a"),
        ('<a>; rel="previous"', None),
        ("", None),
        ("nonsense <<>>;;,", None),
    ],
)
def test_the_next_page_is_read_from_the_link_header(header: str, target: str | None) -> None:
    assert linked(header, "next") == target


def request(accept: str = "", query: str = "") -> Request:
    headers = [(b"accept", accept.encode())] if accept else []
    return Request(
        {"type": "http", "headers": headers, "query_string": query.encode(), "method": "GET", "path": "/"}
    )


ALL = ("html", "json", "jsonld", "turtle")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("text/turtle", "turtle"),
        ("application/ld+json", "jsonld"),
        ("application/json", "json"),
        ("text/turtle;q=0.5, application/ld+json;q=0.9", "jsonld"),
        ("text/html;q=0", "json"),
        ("*/*", "json"),
        ("", "json"),
        ("text/turtle;q=nonsense", "json"),
    ],
)
def test_the_form_follows_the_accept_header(accept: str, form: str) -> None:
    assert wanted_format(request(accept), ALL) == form


def test_the_form_in_the_address_wins_and_an_unknown_one_is_refused() -> None:
    assert wanted_format(request("text/html", "format=turtle"), ALL) == "turtle"
    with pytest.raises(Malformed, match="choose from html"):
        wanted_format(request("text/html", "format=xml"), ALL)


def test_empty_values_ask_for_nothing_and_training_is_the_default() -> None:
    assert not read_query({"q": " ", "theme": "", "page": ""}).narrowed
    assert read_question({"action": "", "purpose": " "}).action == "train"


@pytest.mark.parametrize("page", ["x", "-1", "0", "²", "9999999"])
def test_a_page_that_is_no_number_is_refused(page: str) -> None:
    with pytest.raises(Malformed):
        read_query({"page": page})


def test_sizes_are_binary_and_counts_are_parted() -> None:
    assert [figures.size(number) for number in (None, 0, 1023, 1024, 5_242_880)] == [
        "\N{EN DASH}", "0 B", "1023 B", "1.0 KiB", "5.0 MiB"
    ]  # fmt: skip
    assert figures.count(336_776) == "336,776"


@pytest.mark.parametrize(
    "iri", ["javascript:alert(1)", "JAVASCRIPT:x", "data:text/html,x", "urn:x", "", None]
)
def test_only_web_addresses_become_links(iri: str | None) -> None:
    assert figures.link(iri) is None


def test_bars_fit_their_frame_and_say_what_they_show() -> None:
    drawn = figures.bars(Column.read(column("a", minimum="0", maximum="9", histogram=[5, 0, 10])))
    assert drawn is not None
    assert [bar.height for bar in drawn.bars] == [11.5, 0, 23]
    assert all(0 <= bar.y <= figures.HEIGHT and bar.x + bar.width <= figures.WIDTH for bar in drawn.bars)
    assert drawn.text == "a, rows from 0 to 9"


@pytest.mark.parametrize("histogram", [[], [0, 0], [-1]])
def test_nothing_is_drawn_where_there_is_nothing(histogram: list[int]) -> None:
    assert figures.bars(Column.read(column("a", nulls=0, histogram=histogram))) is None


def write(folder: Path, text: str) -> Path:
    path = folder / "catalog.toml"
    path.write_text(text)
    return path


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(
    tmp_path: Path, monkeypatch: Any
) -> None:
    path = write(tmp_path, 'port = 8200\n[members]\nspace = "test"\nlife_days = 3\n')
    monkeypatch.setenv("HANSA_MEMBERS__SPACE", "other")
    settings = load_settings(path)
    assert (settings.port, settings.members.space, settings.members.life_days) == (8200, "other", 3)
    assert settings.did == "did:web:localhost%3A8200"


def test_data_lie_beside_the_settings_file_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "")).data_dir == tmp_path
    assert load_settings(write(tmp_path, 'data_dir = "state"')).data_dir == tmp_path / "state"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "prot"),
        ("[members]\nspcae = 'x'", "members.spcae"),
        ("port = 'many'", "port"),
        ("public_url = 'https://x.example/path'", "public_url"),
        ("port = ", "cannot be read"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        load_settings(write(tmp_path, text))


def test_an_unknown_environment_variable_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HANSA_PROT", "1")
    with pytest.raises(Misconfigured, match="HANSA_PROT"):
        load_settings(write(tmp_path, ""))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.toml"):
        load_settings(tmp_path / "none.toml")


def test_a_second_query_spec_does_not_hide_the_first() -> None:
    with pytest.raises(Malformed, match="2 QuerySpecs; put their criteria into one"):
        read_filter([query_spec(limit=5), query_spec()])


@pytest.mark.parametrize(
    "state", ['{"after": ["a", "b"], "limit": Infinity}', '{"after": ["a", "b"], "limit": NaN}', "[" * 3000]
)
def test_a_page_token_that_was_forged_is_malformed(state: str) -> None:
    with pytest.raises(Malformed, match="not one of ours"):
        read_cursor(base64.urlsafe_b64encode(state.encode()).decode())
