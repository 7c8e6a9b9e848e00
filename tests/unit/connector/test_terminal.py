"""What the terminal shows: tables whose ids stay whole, and files that cannot be used told in a sentence."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from connector.cli import app
from connector.commands import terminal
from connector.commands.developer import _print_found, _short_names
from connector.commands.terminal import THEME, counted, print_table
from policies.words.language import Language

AGREEMENT = "urn:uuid:7c81a8c1-a781-4ee8-a73f-87665698522c"
DATASET = "urn:hansa:localhost%3A8101:nycflights13.flights"
COLUMNS = ("agreement", "dataset", "rows")


def shown(monkeypatch: pytest.MonkeyPatch, width: int, *, is_terminal: bool = True) -> io.StringIO:
    said = io.StringIO()
    console = Console(
        file=said,
        width=width,
        theme=THEME,
        highlight=False,
        soft_wrap=True,
        force_terminal=is_terminal,
        no_color=True,
        color_system=None,
    )
    monkeypatch.setattr(terminal, "out", console)
    monkeypatch.setattr("connector.commands.developer.out", console)
    return said


def test_a_row_that_does_not_fit_becomes_lines_and_its_ids_stay_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = shown(monkeypatch, 80)
    print_table(COLUMNS, [(AGREEMENT, DATASET, 1234), (AGREEMENT, "a", None)], "none")
    assert said.getvalue().splitlines() == [
        f"agreement  {AGREEMENT}",
        f"dataset    {DATASET}",
        "rows       1,234",
        "",
        f"agreement  {AGREEMENT}",
        "dataset    a",
        "rows       -",
    ]


@pytest.mark.parametrize(("width", "is_terminal"), [(80, True), (80, False), (12, True)])
def test_what_looks_like_markup_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, width: int, is_terminal: bool
) -> None:
    said = shown(monkeypatch, width, is_terminal=is_terminal)
    print_table(("title", "id"), [("a [red]name[/]", "urn:x")], "none")
    assert "[red]name[/]" in said.getvalue()


def test_words_wrap_where_ids_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown(monkeypatch, 80)
    print_table(("title", "agreement"), [("many words " * 6, AGREEMENT)], "none")
    lines = said.getvalue().splitlines()
    assert len(lines) == 3
    assert AGREEMENT in lines[1]
    assert [len(line) for line in lines if len(line) > 80] == []


def test_in_a_pipe_a_row_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown(monkeypatch, 80, is_terminal=False)
    print_table(("title", *COLUMNS), [("many words " * 6, AGREEMENT, DATASET, 5)], "none")
    head, row = said.getvalue().splitlines()
    assert head.split() == ["title", *COLUMNS]
    assert AGREEMENT in row
    assert DATASET in row


def test_an_id_is_no_smiley() -> None:
    for console in (terminal.out, terminal.err):
        with console.capture() as said:
            console.print("[granted]published[/] urn:x:smile:1")
        assert "urn:x:smile:1" in said.get()


def test_things_are_counted_as_english_counts_them() -> None:
    assert [counted(1, "entry"), counted(2, "entry"), counted(1200, "stream")] == [
        "1 entry",
        "2 entries",
        "1,200 streams",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["policy", "new", "open-training", "-o", "{file}/none/offer.json"],
        ["connector", "init", "{file}"],
        ["connector", "init", "{file}/below"],
    ],
)
def test_a_file_that_cannot_be_written_is_named_without_a_traceback(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    said = CliRunner().invoke(app, [word.format(file=file) for word in words])
    assert said.exit_code == 1
    assert isinstance(said.exception, SystemExit)
    assert f"misconfigured: cannot use {file}" in said.output
    assert "name another" in said.output
    assert file.read_text() == "in the way"


def test_an_output_that_cannot_be_written_is_told_before_anything_is_agreed(tmp_path: Path) -> None:
    for file in (tmp_path / "none" / "x.parquet", tmp_path):
        # Nothing listens at that address: who would ask it first is told of that instead.
        said = CliRunner().invoke(app, ["data", "open", "http://127.0.0.1:9", "x", "-o", str(file)])
        assert said.exit_code == 1
        assert f"misconfigured: cannot write {file}: " in said.output
        assert "name another file" in said.output


def hit(id: str, answer: str) -> dict[str, object]:
    return {
        "id": id,
        "title": f"Title of {id}",
        "provider": "did:web:a",
        "endpoint": "https://a.example",
        "rows": 5,
        "eligibility": {"answer": answer, "reasons": [], "next": "state a purpose"},
    }


def test_a_search_tells_each_reason_once_and_its_answers_in_the_language_of_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = shown(monkeypatch, 100)
    found = {
        "hits": [
            hit("urn:h:a:one", "after a step"),
            hit("urn:h:a:two", "after a step"),
            hit("urn:x", "yours now"),
        ],
        "total": 4,
    }
    _print_found(found, Language.DE)
    text = said.getvalue()
    assert "nach einem Schritt: state a purpose (one, two)" in text
    assert "sofort nutzbar" in text
    assert "für niemand Bestimmten entschieden" in text
    assert "3 von 4; mehr mit --most" in text
    assert "after a step" not in text


def test_names_are_as_short_as_they_can_be_told_apart() -> None:
    assert _short_names(["urn:h:a:x", "urn:h:b:x", "urn:h:b:y"]) == ["urn:h:a:x", "urn:h:b:x", "y"]
