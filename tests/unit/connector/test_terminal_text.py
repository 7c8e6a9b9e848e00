"""What others wrote is shown on a terminal as text: it moves no cursor, hides nothing, and turns no line."""

from __future__ import annotations

import pytest

from connector.client.stream import error_from
from connector.commands.terminal import err, out, print_table, tell
from policies.words.language import Language
from schemas.errors import PeerRefused, StreamEnded

HOSTILE = "no\x1b[2J\x1b]0;owned\x07\x9b31m\u202eyes\x00\x7f"
SEEN = "no\ufffd[2J\ufffd]0;owned\ufffd\ufffd31m\ufffdyes\ufffd\ufffd"


@pytest.mark.parametrize("lang", Language)
def test_what_a_provider_says_reaches_the_terminal_as_text(
    lang: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = error_from(403, {"title": "use-denied", "detail": HOSTILE, "reasons": [HOSTILE]})
    for error in (denied, PeerRefused(HOSTILE), StreamEnded(HOSTILE, end="revoked", rows=1)):
        tell(error, lang)
        shown = capsys.readouterr().err
        assert SEEN in shown
        assert all(mark.isprintable() or mark == "\n" for mark in shown)


def test_what_a_catalogue_lists_reaches_the_terminal_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["title"], [[f"{HOSTILE}[red]\nsecond"]], "nothing")
    out.print(f"title {HOSTILE}", markup=False)
    shown = capsys.readouterr().out
    assert shown.count(SEEN) == 2
    assert "[red]" in shown
    assert all(mark.isprintable() or mark == "\n" for mark in shown)


def test_lines_and_spaces_stay_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    err.print("one\n  two\u00a0three ä €", markup=False)
    assert capsys.readouterr().err == "one\n  two three ä €\n"
