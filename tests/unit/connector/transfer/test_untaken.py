"""What a consumer is told of a push that failed: its own affair, in its language; of our network nothing."""

from __future__ import annotations

import pytest

from connector.outbox.letter import MOST_REASONS
from connector.transfer.untaken import untaken
from policies.refusals.refusal import refusal
from policies.words.carried import in_words, spoken
from policies.words.language import Language, message
from schemas.errors import (
    DataspaceError,
    EgressForbidden,
    EnginesDisagree,
    PeerRefused,
    PeerUnavailable,
    PolicyMismatch,
    StorageUnavailable,
    StreamEnded,
    UseDenied,
)


def both(why: DataspaceError) -> list[tuple[str, str]]:
    """What is told, in English and in German."""
    return [(str(one), in_words(one, Language.DE)) for one in untaken(why)]


def test_an_end_is_told_with_its_rows_and_its_reason_in_both_languages() -> None:
    why = spoken(message("end.expired", when="2026-12-01T00:00Z"))
    assert both(StreamEnded(why, end="expired", rows=3)) == [
        (
            "stream ended after 3 rows (expired): the permission ended at 2026-12-01T00:00Z",
            "der Datenstrom endete nach 3 Zeilen (expired): die Erlaubnis endete um 2026-12-01T00:00Z",
        )
    ]


def test_a_denial_is_told_reason_by_reason_and_no_more_of_them_than_a_message_takes() -> None:
    reasons = [spoken(message("why.used.rows", used=5, most=5)), spoken(message("why.nothing"))]
    assert both(UseDenied(reasons)) == [
        (reasons[0], "5 von 5 Zeilen dieser Vereinbarung sind verbraucht"),
        (reasons[1], "die Regeln erlauben nichts"),
    ]
    assert len(untaken(UseDenied(["no"] * 20))) == MOST_REASONS


def test_columns_that_stay_apart_are_told_in_both_languages() -> None:
    ((english, german),) = both(PolicyMismatch(refusal("read apart", columns="'a', 'b'", before="'a'")))
    assert "must not be read together" in english
    assert "dürfen nicht zusammen gelesen werden" in german


@pytest.mark.parametrize(
    "why",
    [
        PeerUnavailable("cannot connect to 10.1.2.3: refused"),
        PeerRefused("10.1.2.3 answered 403", peer_status=403),
        EgressForbidden("10.1.2.3 is a private address"),
    ],
)
def test_whatever_happened_in_our_network_the_answer_is_the_same(why: DataspaceError) -> None:
    ((english, german),) = both(why)
    assert english == "the address of the request did not take the data; ask for a new transfer, or pull"
    assert german.startswith("die Adresse der Anfrage hat die Daten nicht angenommen")


@pytest.mark.parametrize(
    "why", [EnginesDisagree("two engines: row 7"), StorageUnavailable("disk /dev/x is full")]
)
def test_what_failed_at_the_provider_is_not_laid_to_the_address(why: DataspaceError) -> None:
    ((english, german),) = both(why)
    assert english == "something failed at the provider, and was logged there; ask for a new transfer"
    assert german.startswith("beim Anbieter ist etwas fehlgeschlagen")
