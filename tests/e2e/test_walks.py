"""The five walks over real processes and sockets, as the three kinds of people take them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight
import pyarrow.parquet as pq
import pytest

from connector.client.find import search
from connector.demo.evidence import flip_a_byte
from schemas.errors import Malformed, Misconfigured, NotFound, PeerRefused, Refused, StreamEnded, UseDenied
from tests.e2e.conftest import FLIGHTS, MOST_ROWS, RESEARCH, Town

pytestmark = pytest.mark.e2e


def hansa(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "connector", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "COLUMNS": "160", **variables},
    )


def config(town: Town, name: str) -> str:
    return str(town.space.participants[name].folder / "hansa.toml")


# --- find ---


def test_pushed_and_crawled_datasets_are_found_alike(running_town: Town) -> None:
    titles = {hit["title"] for hit in search(running_town.catalogue, "", size=50)["hits"]}
    assert titles >= {"Flights of a year", "Liver patients", "Series 0", "Series 5"}


def test_search_answers_whether_i_may_use_it(running_town: Town) -> None:
    may = search(running_town.catalogue, "liver", purpose=RESEARCH)["hits"][0]["eligibility"]
    may_not = search(running_town.catalogue, "liver", purpose="dpv:Marketing")["hits"][0]["eligibility"]
    assert may["answer"].startswith("yours now")
    assert may_not["answer"].startswith("no")
    assert any("dpv:ScientificResearch" in reason for reason in may_not["reasons"])


# --- agree and stream ---


def test_one_line_opens_a_dataset_and_streams_all_of_it(running_town: Town) -> None:
    with running_town.open("flights") as stream:
        table = pa.Table.from_batches(list(stream), schema=stream.schema)
        steps = list(stream.timings)
    assert steps == ["search", "negotiation", "agreement", "transfer", "first batch"]
    assert table.equals(
        pq.read_table(running_town.data / "mobility" / "flights.parquet").replace_schema_metadata(
            stream.schema.metadata
        )
    )


def test_a_second_use_stands_on_the_same_agreement(running_town: Town) -> None:
    with running_town.open("flights") as first, running_town.open("flights") as second:
        assert second.agreement == first.agreement
        assert "negotiation" not in second.timings


def test_a_stream_resumes_to_the_row(running_town: Town) -> None:
    whole = pq.read_table(running_town.data / "mobility" / "flights.parquet")
    for start in (1, 8191, 8192, FLIGHTS - 1):
        with running_town.open("flights", start=start) as stream:
            numbers = [row for batch in stream for row in batch.column("number").to_pylist()]
        assert numbers == whole.column("number").to_pylist()[start:]


def test_filter_mask_hidden_column_and_cap_hold_in_the_stream(running_town: Town) -> None:
    batches: list[pa.RecordBatch] = []
    with running_town.open("patients", renegotiate=True) as stream, pytest.raises(StreamEnded) as ended:
        batches.extend(stream)  # a list keeps what came before the early end
    table = pa.Table.from_batches(batches)
    source = pq.read_table(running_town.data / "hospital" / "patients.parquet")
    expected = [row for row in source.to_pylist() if row["age"] is not None and row["age"] >= 50][:MOST_ROWS]
    assert ended.value.end == "row-limit"
    assert f"allows {MOST_ROWS:,} rows in all" in ended.value.reason
    assert table.column_names == ["id", "age", "bmi"]
    assert table.column("age").to_pylist() == [row["age"] for row in expected]
    pseudonyms, ids = table.column("id").to_pylist(), [row["id"] for row in expected]
    assert len(set(zip(pseudonyms, ids, strict=True))) == len(set(ids)) == len(set(pseudonyms))
    assert not {str(one) for one in ids} & set(pseudonyms)


def test_the_arrow_flight_door_serves_the_same_rows(running_town: Town) -> None:
    door = running_town.space.management("developer")
    with running_town.open("flights") as stream:
        agreement = stream.agreement
    use = {
        "action": "https://w3id.org/hansa/policy/1#train",
        "purpose": "https://w3id.org/dpv#ScientificResearch",
    }
    made = door.post("/transfers", {"agreement": agreement, "format": "ArrowFlight-PULL", "use": use})
    started = door.get(f"/transfers/{made['pid']}", wait="STARTED,TERMINATED", timeout=20)
    assert started["state"] == "STARTED", started
    address = started["dataAddress"]
    token = next(item["value"] for item in address["endpointProperties"] if item["name"] == "authorization")
    location, _, transfer = address["endpoint"].rpartition("/")
    ticket = json.dumps({"transfer": transfer, "authorization": token, "start": 0}).encode()
    with pyarrow.flight.connect(location) as client:
        rows = sum(chunk.data.num_rows for chunk in client.do_get(pyarrow.flight.Ticket(ticket)))
    assert rows == FLIGHTS


def test_a_format_without_a_door_is_not_offered_and_ends_a_transfer_with_the_reason(
    running_town: Town,
) -> None:
    door = running_town.space.management("developer")
    with running_town.open("series0") as stream:
        agreement = stream.agreement
    made = door.post("/transfers", {"agreement": agreement, "format": "ArrowFlight-PULL"})
    ended = door.get(f"/transfers/{made['pid']}", wait="STARTED,TERMINATED", timeout=20)
    assert ended["state"] == "TERMINATED"
    assert any("ArrowStream-PULL" in reason for reason in ended["reasons"]), ended
    (dataset, *_) = running_town.space.management("lab").get("/offers")["datasets"]
    assert [one["format"] for one in dataset["distribution"]] == ["ArrowStream-PULL"]


# --- deny ---


def test_a_use_with_the_wrong_purpose_is_denied_with_what_would_pass(running_town: Town) -> None:
    with pytest.raises(UseDenied) as denied:
        running_town.open("flights", purpose="dpv:Marketing")
    assert "dpv:Marketing" in str(denied.value)
    assert "dpv:ScientificResearch" in str(denied.value)


def test_a_use_without_a_purpose_is_denied(running_town: Town) -> None:
    with pytest.raises(UseDenied, match="purpose"):
        running_town.open("flights", purpose=None)


def test_a_column_that_is_not_released_cannot_be_asked_for(running_town: Town) -> None:
    with pytest.raises(Refused, match=r"case\.id"):
        running_town.open("patients", columns=["case.id"], renegotiate=True)


def test_an_ambiguous_name_lists_the_candidates(running_town: Town) -> None:
    with pytest.raises(Malformed, match=r"series0.*series1"):
        running_town.open("series")


def test_an_unknown_name_says_so(running_town: Town) -> None:
    with pytest.raises(NotFound, match="no-such-thing"):
        running_town.open("no-such-thing")


def test_a_wrong_api_key_is_refused(running_town: Town) -> None:
    import connector

    with pytest.raises(Misconfigured, match="HANSA_API_KEY_FILE"):
        connector.open(
            running_town.catalogue,
            "flights",
            purpose=RESEARCH,
            connector=running_town.space.participants["developer"].url,
            key="not-the-key",
        )


# --- publish ---


def refusal(town: Town, **changed: Any) -> str:
    item = {
        "source": "flights.parquet",
        "title": "x",
        "offer": {"template": "research-only", "parameters": {}},
        **changed,
    }
    answered = town.space.management("mobility").publish([item])
    assert answered["published"] == [] == answered["unchanged"]
    return str(answered["refused"][0]["reason"])


def test_a_corrupt_file_is_refused_at_publish_and_nothing_is_offered(running_town: Town) -> None:
    whole = (running_town.data / "mobility" / "flights.parquet").read_bytes()
    (running_town.data / "mobility" / "torn.parquet").write_bytes(whole[: len(whole) // 2])
    before = running_town.space.management("mobility").get("/offers")["total"]
    said = refusal(running_town, source="torn.parquet")
    assert "torn.parquet" in said
    assert str(running_town.data) not in said
    assert running_town.space.management("mobility").get("/offers")["total"] == before


def test_a_column_that_the_data_lacks_is_refused_by_name(running_town: Town) -> None:
    parameters = {
        "purposes": [RESEARCH],
        "not_before": "2026-01-01T00:00:00Z",
        "not_after": "2030-01-01T00:00:00Z",
        "visible_columns": ["number", "altitude"],
        "max_rows": 5,
    }
    said = refusal(running_town, offer={"template": "health-secondary-use", "parameters": parameters})
    assert "altitude" in said
    assert "carrier" in said


def test_a_term_that_nobody_can_keep_is_refused_by_name(running_town: Town) -> None:
    constraint = {"leftOperand": "https://example.org/moonPhase", "operator": "eq", "rightOperand": "full"}
    said = refusal(
        running_town, offer={"@type": "Offer", "permission": [{"action": "use", "constraint": [constraint]}]}
    )
    assert "moonPhase" in said


def test_a_file_outside_the_data_folders_is_not_found(running_town: Town) -> None:
    for source in ("../hospital/patients.parquet", "/etc/passwd"):
        assert "data.roots" in refusal(running_town, source=source)


# --- audit ---


def test_the_auditor_verifies_with_urls_alone_and_names_a_flipped_entry(
    running_town: Town, tmp_path: Path
) -> None:
    with running_town.open("flights") as stream:
        rows = sum(batch.num_rows for batch in stream)
    copies = tmp_path / "copies"
    ran = hansa(
        "audit", running_town.mandate("mobility"), running_town.mandate("hospital"), "--save", str(copies)
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("verified to size") == 2
    assert "dpv:ScientificResearch" in ran.stdout
    assert rows == FLIGHTS
    flipped = flip_a_byte(copies)
    again = hansa("audit", "--copy", str(flipped.folder))
    assert again.returncode == 4
    assert f"entry {flipped.index}" in again.stdout


def test_records_are_closed_without_a_mandate_and_with_an_altered_one(running_town: Town) -> None:
    url, _, mandate = running_town.mandate("mobility").partition("#mandate=")
    http = running_town.space.http
    altered = mandate[:-6] + ("A" if mandate[-6] != "A" else "B") + mandate[-5:]
    other = running_town.mandate("hospital").partition("#mandate=")[2]
    for shown in (None, f"Bearer {altered}", f"Bearer {other}"):
        reply = http.get(f"{url}/entries", {"Authorization": shown} if shown else {})
        assert reply.status == 401, shown
        assert b"salt" not in reply.body
    assert http.get(f"{url}/entries", {"Authorization": f"Bearer {mandate}"}).ok
    assert http.get(f"{url}/checkpoint").ok


# --- the command line ---


def test_the_developers_commands_search_and_write_parquet(running_town: Town, tmp_path: Path) -> None:
    door = running_town.space.participants["developer"]
    variables = {"HANSA_CONNECTOR": door.url, "HANSA_API_KEY": running_town.space.api_key("developer")}
    found = hansa("data", "search", running_town.catalogue, "series", "--json", **variables)
    assert json.loads(found.stdout)["total"] == 6
    output = tmp_path / "flights.parquet"
    wrote = hansa(
        "data",
        "open",
        running_town.catalogue,
        "flights",
        "--purpose",
        RESEARCH,
        "-o",
        str(output),
        **variables,
    )
    assert wrote.returncode == 0, wrote.stderr
    assert pq.read_metadata(output).num_rows == FLIGHTS
    denied = hansa(
        "data", "open", running_town.catalogue, "flights", "--purpose", "dpv:Marketing", **variables
    )
    assert denied.returncode == 3
    assert "dpv:ScientificResearch" in denied.stderr


def test_the_holders_commands_tell_what_is_offered_agreed_and_waiting(running_town: Town) -> None:
    with running_town.open("flights"):
        pass
    offers = hansa("connector", "offers", "--config", config(running_town, "mobility"))
    assert "Flights of a year" in offers.stdout
    agreements = json.loads(
        hansa("connector", "agreements", "--json", "--config", config(running_town, "mobility")).stdout
    )
    assert agreements["agreements"]
    status = hansa("connector", "status", "--config", config(running_town, "mobility"))
    assert "usage log" in status.stdout


def test_the_doctor_finds_a_running_participant_well(running_town: Town) -> None:
    ran = hansa("doctor", "--config", config(running_town, "mobility"))
    assert "DID document" in ran.stdout
    assert ran.returncode == 0, ran.stdout


def test_a_withdrawn_dataset_disappears_from_the_catalogue(running_town: Town) -> None:
    from tests.e2e.conftest import await_true

    (running_town.data / "mobility" / "short.parquet").write_bytes(
        (running_town.data / "lab" / "series0.parquet").read_bytes()
    )
    published = hansa(
        "connector",
        "publish",
        "short.parquet",
        "--title",
        "Soon gone",
        "--template",
        "research-only",
        "--config",
        config(running_town, "mobility"),
    )
    assert published.returncode == 0, published.stderr
    await_true(lambda: search(running_town.catalogue, "Soon gone")["total"] == 1, "the pushed dataset")
    dataset = running_town.hit("Soon gone")["id"]
    assert (
        hansa("connector", "withdraw", dataset, "--config", config(running_town, "mobility")).returncode == 0
    )
    await_true(lambda: search(running_town.catalogue, "Soon gone")["total"] == 0, "the withdrawal")


def test_a_revoked_agreement_opens_no_stream_and_says_why(running_town: Town) -> None:
    stream = running_town.open("flights", renegotiate=True)
    agreement = stream.agreement
    running_town.space.management("mobility").post(
        f"/agreements/{agreement}/revocation", {"reason": "consent withdrawn"}
    )
    with pytest.raises(PeerRefused, match="consent withdrawn"):
        running_town.open("flights")
    stream.close()
    with running_town.open("flights", renegotiate=True) as anew:
        assert anew.agreement != agreement


def test_no_secret_stands_in_any_log_of_the_space(running_town: Town) -> None:
    secrets = [running_town.space.api_key(name) for name in running_town.space.participants]
    for place in running_town.space.participants.values():
        secrets.append(json.loads((place.folder / "state" / "key.json").read_text())["d"])
    logs = "".join(place.log.read_text(encoding="utf-8") for place in running_town.space.places())
    assert not [secret for secret in secrets if secret in logs]
