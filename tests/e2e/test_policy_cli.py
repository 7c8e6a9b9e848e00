"""`hansa policy …` as its author types it, on files and at running connectors."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connector.cli import app
from tests.e2e.conftest import RESEARCH, Town

pytestmark = pytest.mark.e2e


def hansa(*words: str, code: int = 0, of: str = "policy") -> str:
    said = CliRunner().invoke(app, [of, *words])
    assert said.exit_code == code, said.output
    return said.output


def hansa_json(*words: str, code: int = 0) -> Any:
    return json.loads(hansa(*words, "--json", code=code))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "offer.json"
    hansa("new", "research-only", "-p", "not_after=2031-01-01T00:00:00Z", "-o", str(file))
    return file


def test_a_policy_is_written_from_a_template_and_explained_in_two_languages(policy: Path) -> None:
    assert "You may use the data.  enforced here" in hansa("explain", str(policy))
    assert "Sie dürfen die Daten nutzen.  hier durchgesetzt" in hansa("explain", str(policy), "--lang", "de")
    (told,) = hansa_json("explain", str(policy))
    assert told[0]["data"]["about"] == "actions"
    assert "exists; choose another name" in hansa("new", "open-training", "-o", str(policy), code=1)


def test_turtle_json_ld_and_json_say_the_same(policy: Path, tmp_path: Path) -> None:
    turtle = tmp_path / "offer.ttl"
    turtle.write_text(
        """@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix dpv: <https://w3id.org/dpv#> .
        <urn:p> a odrl:Offer ; odrl:permission [ odrl:action odrl:use ; odrl:constraint [
          odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand dpv:Marketing ] ] ."""
    )
    linked = tmp_path / "linked.jsonld"
    linked.write_text(
        json.dumps(
            {
                "@context": "http://www.w3.org/ns/odrl.jsonld",
                "@type": "Offer",
                "uid": "urn:p",
                "permission": [
                    {
                        "action": "use",
                        "constraint": [
                            {
                                "leftOperand": "purpose",
                                "operator": "isA",
                                "rightOperand": {"@id": "https://w3id.org/dpv#Marketing"},
                            }
                        ],
                    }
                ],
            }
        )
    )
    assert hansa("explain", str(turtle)) == hansa("explain", str(linked))
    assert "Only for a purpose under dpv:Marketing." in hansa("explain", str(turtle))


def test_the_readme_shows_what_the_commands_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("### Write a policy")[2].partition("\n## ")[0]
    typed, shown = section.split("```")[1], section.split("```")[3]
    monkeypatch.chdir(tmp_path)
    first, second = (shlex.split(line, comments=True)[2:] for line in typed.splitlines()[1:] if line)
    hansa(*first)
    assert hansa(*second, code=3).strip() == shown.strip()


def test_what_would_make_it_pass_is_told_in_german_too(policy: Path) -> None:
    told = hansa("check", str(policy), "--purpose", "dpv:Marketing", "--lang", "de", code=3)
    assert "wohlgeformt, " in told
    assert "Die kleinsten Änderungen, mit denen sie erlaubt wäre:" in told
    listed = hansa("templates", "--lang", "de")
    assert "eine Dauer nach ISO 8601 wie P30D (Vorgabe: P30D)" in listed
    assert "like" not in listed


def test_a_denied_use_is_told_with_the_smallest_change(policy: Path) -> None:
    told = hansa("check", str(policy), "--action", "train", "--purpose", "Marketing", code=3)
    assert "Not met: for a purpose under dpv:ResearchAndDevelopment." in told
    assert "State the purpose dpv:AcademicResearch." in told
    document = hansa_json("check", str(policy), "--action", "train", "--purpose", "AcademicResearch")
    assert document["decision"]["permitted"] is True


def test_warnings_and_conflicts_are_told_and_conflicts_fail(tmp_path: Path) -> None:
    doubtful = tmp_path / "doubtful.json"
    constraint = {"leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": "2031-01-01T00:00"}
    use = {"action": "odrl:use", "constraint": [constraint]}
    doubtful.write_text(json.dumps({"permission": [use]}))
    assert "names no time zone" in hansa("check", str(doubtful))
    doubtful.write_text(json.dumps({"permission": [use], "prohibition": [{"action": "odrl:use"}]}))
    assert "conflict" in hansa("check", str(doubtful), code=1)
    german = hansa("check", str(doubtful), "--lang", "de", code=1)
    assert "Warnung permission[0].constraint[0]" in german
    assert "nennt keine Zeitzone und gilt als UTC" in german
    told = CliRunner().invoke(app, ["policy", "explain", str(doubtful), "--lang", "de"])
    assert told.exit_code == 0
    assert "nennt keine Zeitzone und gilt als UTC" in told.stderr
    assert "Sie dürfen die Daten nutzen." in told.stdout
    assert "Widerspruch permission[0] (odrl:use (vor 2031" in german
    assert "ist durch prohibition[0] immer verboten (odrl:use)" in german


BAD: dict[str, tuple[Any, str]] = {
    "operand": ({"leftOperand": "dx:moonPhase", "operator": "eq", "rightOperand": "full"}, "dx:moonPhase"),
    "operator": ({"leftOperand": "odrl:purpose", "operator": "gt", "rightOperand": "x"}, "'gt'"),
    "type": ({"leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": "soon"}, "soon"),
    "unit": ({"leftOperand": "odrl:percentage", "operator": "lteq", "rightOperand": "120"}, "120"),
}


GERMAN = {
    "operand": "kann nicht durchgesetzt werden; bekannt: ",
    "operator": "der Operator 'gt' von odrl:purpose in permission[0].constraint[0]",
    "type": "ist kein Zeitpunkt; schreiben Sie zum Beispiel 2026-12-01T00:00:00Z",
    "unit": "ist kein Prozentsatz; schreiben Sie eine Zahl über 0 und bis 100",
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_cannot_be_kept_is_refused_by_name_and_place(name: str, tmp_path: Path) -> None:
    constraint, named = BAD[name]
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({"permission": [{"action": "odrl:use", "constraint": [constraint]}]}))
    told = hansa("check", str(file), code=1)
    assert named in told
    assert "permission[0].constraint[0]" in told
    german = hansa("check", str(file), "--lang", "de", code=1)
    assert named in german
    assert GERMAN[name] in german


MARKETING = json.dumps(
    {"leftOperand": "odrl:purpose", "operator": "isA", "rightOperand": "https://w3id.org/dpv#Marketing"}
)


def nested(depth: int) -> str:
    return '{"and": [' * depth + MARKETING + "]}" * depth


def test_a_turtle_bomb_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.ttl"
    depth = 20_000
    bomb.write_text(
        "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . <urn:p> a odrl:Offer ; odrl:permission "
        + "[ odrl:action odrl:use ; odrl:constraint " * depth
        + "<urn:x>"
        + " ]" * depth
        + " ."
    )
    hansa("check", str(bomb), code=1)


def test_files_that_hold_no_policy_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    for text, told, german in (
        ("{", "not a JSON policy", "keine Regeln in JSON"),
        ("3", "no JSON object", "kein JSON-Objekt"),
        ("[]", "document holds no policy", "das Dokument enthält keine Regeln"),
        ("{}", "neither permission nor prohibition", "weder Erlaubnis noch Verbot"),
        ('{"profile": "urn:x", "permission": [{"action": "use"}]}', "profile", "das Profil 'urn:x'"),
        ('{"permission": [{"action": "eat"}]}', "'eat'", "die Handlung 'eat'"),
        ("[" * 100_000, "nests deeper than any policy", "tiefer verschachtelt"),
        (
            f'{{"permission": [{{"action": "use", "constraint": [{", ".join([MARKETING] * 10_000)}]}}]}}',
            "more than 2,000 rules and constraints; split it",
            "mehr als 2.000 Regeln und Bedingungen; teilen Sie sie auf",
        ),
        (
            f'{{"permission": [{{"action": "use", "constraint": {nested(50)}}}]}}',
            "deeper than 8 levels",
            "tiefer als 8 Ebenen",
        ),
        ('{"@context": "https://evil.example/c.jsonld", "permission": []}', "never fetched", ""),
    ):
        file.write_text(text)
        assert told in hansa("check", str(file), code=1), text[:40]
        assert german in hansa("check", str(file), "--lang", "de", code=1), text[:40]
    file.write_bytes(b" " * (5 << 20))
    assert "at most" in hansa("check", str(file), code=1)
    assert "there is no file" in hansa("explain", str(tmp_path / "none.json"), code=1)


TURTLE = "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . "
PERMITS = "odrl:permission [ odrl:action odrl:use ; odrl:target <urn:t> ]"
LOOPS = "[ odrl:action odrl:use ; odrl:target <urn:t> ; odrl:constraint <urn:c> ]"


@pytest.mark.parametrize(
    ("text", "says", "german"),
    [
        (
            f"<urn:a> a odrl:Set ; odrl:inheritFrom <urn:b> ; {PERMITS} . "
            f"<urn:b> a odrl:Set ; odrl:inheritFrom <urn:a> ; {PERMITS} .",
            "inherit in a circle: urn:a -> urn:b -> urn:a; cut one inheritFrom",
            "die Regeln erben im Kreis: urn:a -> urn:b -> urn:a; entfernen Sie ein inheritFrom",
        ),
        (
            f"<urn:a> a odrl:Offer ; odrl:permission {LOOPS} . "
            "<urn:c> a odrl:LogicalConstraint ; odrl:and ( <urn:c> ) .",
            "permission[0].constraint[0].and[0]: 'urn:c' holds itself",
            "permission[0].constraint[0].and[0]: 'urn:c' enthält sich selbst; schreiben Sie",
        ),
        (
            f"<urn:a> a odrl:Set ; odrl:inheritFrom <urn:b> ; {PERMITS} .",
            "inherits from 'urn:b', which is not here; put it into the same document",
            "'urn:a' erbt von 'urn:b', das hier fehlt; schreiben Sie es in dasselbe Dokument",
        ),
        (
            "<urn:a> a odrl:Set ; odrl:permission [ "
            + " ; ".join(f"odrl:action <urn:x{i}>" for i in range(61_000))
            + " ] .",
            "more than 60,000 statements; split it",
            "mehr als 60.000 Aussagen; teilen Sie es auf",
        ),
        ("<urn:a> a odrl:Set", "not Turtle that we can read", "kein lesbares Turtle"),
    ],
)
def test_turtle_that_is_no_policy_is_refused_in_both_languages(
    text: str, says: str, german: str, tmp_path: Path
) -> None:
    file = tmp_path / "bad.ttl"
    file.write_text(TURTLE + text)
    assert says in hansa("check", str(file), code=1)
    assert german in hansa("check", str(file), "--lang", "de", code=1)


@pytest.mark.parametrize(
    ("given", "says", "german"),
    [
        (["nosuch"], "no template is called 'nosuch'", "keine Vorlage heißt 'nosuch'; es gibt: "),
        (["time-boxed"], "needs parameter 'not_after'", "braucht die Angabe 'not_after': ein Zeitpunkt wie"),
        (
            ["time-boxed", "-p", "not_after=soon"],
            "'soon' is not a time",
            "Angabe 'not_after': verlangt ist ein Zeitpunkt wie 2026-12-01T00:00:00Z, oder ein Datum für den "
            "ganzen Tag: not_after: 'soon' ist kein Zeitpunkt",
        ),
        (
            ["commercial-evaluation", "-p", "percentage=200"],
            "a number above 0 and up to 100",
            "verlangt ist eine Zahl über 0 und bis 100; da steht '200'",
        ),
        (["open-training", "-p", "colour=red"], "has no parameter 'colour'", "hat keine Angabe 'colour'"),
        (["open-training", "-p", "colour"], "is not name=value", "ist nicht von der Form Name=Wert"),
    ],
)
def test_a_template_that_is_not_filled_in_is_refused_in_both_languages(
    given: list[str], says: str, german: str
) -> None:
    assert says in hansa("new", *given, code=1)
    assert german in hansa("new", *given, "--lang", "de", code=1)


def test_a_data_file_lacks_what_the_policy_names(running_town: Town, tmp_path: Path) -> None:
    file = tmp_path / "columns.json"
    columns = {
        "leftOperand": "https://w3id.org/hansa/policy/1#columns",
        "operator": "isAnyOf",
        "rightOperand": ["salary"],
    }
    file.write_text(json.dumps({"permission": [{"action": "odrl:use", "constraint": [columns]}]}))
    data = str(running_town.data / "hospital" / "patients.parquet")
    told = hansa("check", str(file), "--data", data, code=1)
    assert "names column 'salary'" in told
    assert "'age', 'bmi'" in told
    german = hansa("check", str(file), "--data", data, "--lang", "de", code=1)
    assert "nennt die Spalte 'salary', die den Daten fehlt; Spalten: 'id', 'age', 'bmi'" in german
    config = str(running_town.space.participants["hospital"].folder / "hansa.toml")
    made = ["publish", "patients.parquet", "--title", "No such column", "--offer", str(file)]
    refused = hansa(*made, "--config", config, "--lang", "de", of="connector", code=1)
    assert "nennt die Spalte 'salary', die den Daten fehlt" in refused


def test_the_holder_sees_what_a_consumer_would_see_and_nothing_is_logged(
    running_town: Town, tmp_path: Path
) -> None:
    config = ["--config", str(running_town.space.participants["hospital"].folder / "hansa.toml")]
    door = running_town.space.management("hospital")
    file = tmp_path / "some.json"
    over = {
        "leftOperand": "https://w3id.org/hansa/policy/1#column/age",
        "operator": "gteq",
        "rightOperand": {"@value": "80", "@type": "xsd:integer"},
    }
    hidden = {
        "leftOperand": "https://w3id.org/hansa/policy/1#mask/id",
        "operator": "eq",
        "rightOperand": "null",
    }
    file.write_text(json.dumps({"permission": [{"action": "odrl:use", "constraint": [over, hidden]}]}))

    def logged() -> int:
        log = door.get("/status")["log"]
        return int(log["size"] + log["backlog"])

    before = logged()
    seen = hansa_json("simulate", "patients.parquet", "--policy", str(file), "--rows", "5", *config)
    assert len(seen["rows"]) == 5
    at = [column["name"] for column in seen["columns"]].index("age")
    assert all(int(row[at]) >= 80 for row in seen["rows"])
    assert all(row[0] is None for row in seen["rows"])
    assert logged() == before
    table = hansa("simulate", "patients.parquet", "--policy", str(file), *config)
    assert "case.id" in table
    assert "80" in table


def test_a_change_is_told_with_whom_it_touches(running_town: Town, policy: Path, tmp_path: Path) -> None:
    space = running_town.space
    config = ["--config", str(space.participants["mobility"].folder / "hansa.toml")]
    dataset = running_town.hit("Flights")["id"]
    strict = tmp_path / "strict.json"
    hansa("new", "commercial-evaluation", "-o", str(strict))
    with running_town.open(dataset, purpose=RESEARCH):
        told = hansa("diff", str(policy), str(strict), "--dataset", dataset, *config)
        assert "removed" in told or "changed" in told
        assert "would get no new agreement" in told
        (agreement,) = hansa_json("diff", str(policy), str(strict), "--dataset", dataset, *config)[
            "agreements"
        ]
        assert agreement["loses"] is True
        shown = hansa("explain", agreement["agreement"], *config)
        assert "This is for did:web:" in shown
    assert "You may use the data." in hansa("explain", dataset, *config)
    assert "Both say the same." in hansa("diff", str(policy), str(policy))


def test_who_publishes_or_tries_a_time_without_a_zone_is_warned(running_town: Town, tmp_path: Path) -> None:
    config = [
        "--config",
        str(running_town.space.participants["hospital"].folder / "hansa.toml"),
        "--lang",
        "de",
    ]
    file = tmp_path / "doubtful.json"
    constraint = {"leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": "2031-01-01T00:00"}
    file.write_text(json.dumps({"permission": [{"action": "odrl:use", "constraint": [constraint]}]}))
    for words in (
        ["policy", "simulate", "patients.parquet", "--policy", str(file)],
        [
            "connector",
            "publish",
            "patients.parquet",
            "--title",
            "T",
            "--offer",
            str(file),
            "--id",
            "urn:x:zone",
        ],
    ):
        told = CliRunner().invoke(app, [*words, *config])
        assert told.exit_code == 0, told.output
        assert "Warnung permission[0].constraint[0]" in told.stderr
        assert "nennt keine Zeitzone und gilt als UTC" in told.stderr
    assert "published urn:x:zone" in told.stdout
    withdrawn = CliRunner().invoke(app, ["connector", "withdraw", "urn:x:zone", *config[:2]])
    assert withdrawn.exit_code == 0


def test_turtle_is_published_as_it_is(running_town: Town, tmp_path: Path) -> None:
    door = running_town.space.participants["hospital"]
    shutil.copy(
        running_town.data / "hospital" / "patients.parquet", running_town.data / "hospital" / "turtle.parquet"
    )
    file = tmp_path / "offer.ttl"
    file.write_text(
        "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix hansa: <https://w3id.org/hansa/policy/1#> .\n"
        "<urn:mine> a odrl:Offer ; odrl:permission [ odrl:action hansa:evaluate ; odrl:constraint [\n"
        "  odrl:leftOperand hansa:rowCount ; odrl:operator odrl:lteq ; odrl:rightOperand 7 ] ] .\n"
    )
    config = ["--config", str(door.folder / "hansa.toml")]
    told = hansa(
        "publish", "turtle.parquet", "--title", "By Turtle", "--offer", str(file), *config, of="connector"
    )
    id = told.split()[-1]
    (sentences,) = hansa_json("explain", id, *config)
    assert [one["text"] for one in sentences] == [
        "You may evaluate models on the data.",
        "You receive at most 7 rows over the life of the agreement.",
    ]
    hansa("withdraw", id, *config, of="connector")


def test_an_agreement_is_not_published(tmp_path: Path) -> None:
    file = tmp_path / "agreed.json"
    parties = {
        "assigner": "did:web:a.example",
        "assignee": "did:web:b.example",
        "timestamp": "2026-11-25T12:00:00Z",
    }
    rules = {"permission": [{"action": "odrl:use"}], "target": "urn:d", **parties}
    file.write_text(json.dumps({"@type": "Agreement", "@id": "urn:a", **rules}))
    (tmp_path / "hansa.toml").write_text("")
    told = hansa("publish", "x.parquet", "--title", "x", "--offer", str(file), code=1, of="connector")
    assert "holds an agreement; publish an offer" in told
