"""May I? Asked by a member for itself, and by anybody: over real processes, with real proofs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from joserfc.jwk import OKPKey
from typer.testing import CliRunner

import connector.demo.space as demo
from connector.adapters.keys import load_or_create_key
from connector.app.world import utc_now
from connector.cli import app
from connector.client.find import search
from schemas.identity import generate_key, self_issued
from schemas.vocab import HANSA
from tests.e2e.conftest import Town, await_true, make_tables

pytestmark = pytest.mark.e2e

SME = {"leftOperand": HANSA + "participantGroup", "operator": "isAnyOf", "rightOperand": "sme"}
EU = {"leftOperand": "http://www.w3.org/ns/odrl/2/spatial", "operator": "isPartOf", "rightOperand": "EU"}
STATED: dict[str, dict[str, Any]] = {
    "developer": {"groups": ("sme",), "region": "DE"},
    "lab": {"groups": ("large",), "region": "US", "roles": ("provider", "consumer")},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home = tmp_path_factory.mktemp("claims")
    make_tables(home / "data")
    space = demo.prepare(home / "space", home / "data", stated=STATED)
    with demo.running(space):
        items = [
            {
                "source": "flights.parquet",
                "title": f"For {name}",
                "id": f"urn:dataset:{name}",
                "offer": {
                    "@type": "Offer",
                    "@id": f"urn:offer:{name}",
                    "permission": [{"action": HANSA + "train", "constraint": [term]}],
                },
            }
            for name, term in (("sme", SME), ("eu", EU))
        ]
        answered = space.management("mobility").publish(items)
        assert not answered["refused"], answered
        await_true(lambda: search(space.catalog.url, "")["total"] == 2, "two datasets in the catalogue")
        yield Town(space, home / "data")


def answers(found: dict[str, Any]) -> dict[str, str]:
    return {hit["id"].rpartition(":")[2]: hit["eligibility"]["answer"] for hit in found["hits"]}


def as_(town: Town, who: str) -> dict[str, Any]:
    return search(town.catalogue, "", own=town.space.management(who))


def test_a_member_that_has_it_gets_yes_one_that_has_not_no_because_and_anybody_a_step(made: Town) -> None:
    yes = as_(made, "developer")
    assert answers(yes) == {"sme": "yours now", "eu": "yours now"}
    assert yes["decidedFor"] == made.space.participants["developer"].did
    no = as_(made, "lab")
    assert answers(no) == {"sme": "no", "eu": "no"}
    reasons = " ".join(reason for hit in no["hits"] for reason in hit["eligibility"]["reasons"])
    lab = made.space.participants["lab"].did
    assert f"{lab} is not known to be in sme" in reasons
    assert f"the place of {lab} is US" in reasons
    anybody = search(made.catalogue, "")
    assert answers(anybody) == {"sme": "after a step", "eu": "after a step"}
    assert anybody["decidedFor"] is None
    for hit in anybody["hits"]:
        assert "depends on what the member list states of you" in hit["eligibility"]["next"]


def test_anybody_who_asks_about_a_member_learns_nothing_of_what_is_stated_of_it(made: Town) -> None:
    http, url = made.space.http, made.catalogue
    told = set()
    for who in ("developer", "lab", "hospital"):
        did = made.space.participants[who].did
        said = http.get(f"{url}/search?participant={quote(did)}").json()
        assert said["decidedFor"] is None
        told.add(json.dumps([hit["eligibility"] for hit in said["hits"]]).replace(did, "X"))
    assert len(told) == 1


def test_a_proof_is_good_once_for_this_catalogue_and_for_its_own_member(made: Town) -> None:
    place = made.space.participants["developer"]
    key = load_or_create_key(place.folder / "state" / "key.json")
    http, url = made.space.http, f"{made.catalogue}/search"

    def ask(audience: str, jti: str, signer: OKPKey = key) -> Any:
        token = self_issued(signer, place.did, audience, jti=jti, at=utc_now())
        return http.get(url, {"Authorization": f"Bearer {token}"})

    first = ask(made.space.catalog.did, "once")
    assert (first.status, first.json()["decidedFor"]) == (200, place.did)
    again = ask(made.space.catalog.did, "once")
    assert (again.status, "was used before" in again.json()["detail"]) == (401, True)
    elsewhere = ask(made.space.participants["lab"].did, "elsewhere")
    assert elsewhere.status == 401
    forged = ask(made.space.catalog.did, "forged", generate_key())
    assert forged.status == 401


def test_the_command_line_asks_through_the_own_connector_and_says_for_whom(
    made: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = made.space.participants["lab"]
    monkeypatch.setenv("HANSA_CONNECTOR", place.url)
    monkeypatch.setenv("HANSA_API_KEY", made.space.api_key("lab"))
    said = CliRunner().invoke(app, ["data", "search", made.catalogue, "sme"])
    assert said.exit_code == 0, said.output
    assert f"decided for {place.did}" in said.output
    assert "no: " in said.output
    assert "is not known to be in sme" in said.output
    nobody = CliRunner().invoke(app, ["data", "search", made.catalogue, "sme", "--anonymous"])
    assert "decided for nobody in particular" in nobody.output
    assert "depends on what the member list states" in nobody.output


def test_a_catalogue_that_the_connector_does_not_know_is_asked_as_by_anybody_and_gets_no_proof(
    made: Town,
) -> None:
    other = made.catalogue.replace("localhost", "127.0.0.1")
    found = search(other, "", own=made.space.management("developer"))
    assert found["decidedFor"] is None
    assert "no catalogue" in found["note"]
    assert "[[catalogs]]" in found["note"]
    assert set(answers(found).values()) == {"after a step"}


def test_a_denial_is_told_in_the_language_of_who_is_denied(
    made: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = made.space.participants["lab"]
    monkeypatch.setenv("HANSA_CONNECTOR", place.url)
    monkeypatch.setenv("HANSA_API_KEY", made.space.api_key("lab"))
    command = ["data", "open", made.catalogue, "urn:dataset:sme"]
    english = CliRunner().invoke(app, command)
    assert english.exit_code == 3, english.output
    assert f"{place.did} is not known to be in sme; ask the authority" in english.output
    german = CliRunner().invoke(app, [*command, "--lang", "de"])
    assert german.exit_code == 3, german.output
    assert f"es ist nicht bekannt, dass {place.did} zu sme gehört; bitten Sie die Aufsicht" in german.output
    shown = CliRunner().invoke(app, ["data", "search", made.catalogue, "sme", "--lang", "de"])
    assert f"es ist nicht bekannt, dass {place.did} zu sme gehört" in shown.output
    ended = made.space.management("lab").get("/negotiations")["negotiations"][0]
    assert ended["reasons"] == [
        f"{place.did} is not known to be in sme; ask the authority of the data space to list you in sme"
    ]
    assert [one["code"] for one in ended["told"]] == ["why.fix"]
