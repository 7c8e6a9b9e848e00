"""EDC buys from us: it reads our catalogue, agrees, and pulls Arrow with the address that it was told."""

from __future__ import annotations

import httpx2
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from schemas.vocab import FORMAT_ARROW_HTTP, FORMAT_HTTP_PUSH, HANSA
from tests.interop.edc.conftest import FILTERED_DATASET, OPEN_DATASET, Store, Trade
from tests.interop.edc.management import Address

pytestmark = [pytest.mark.interop, pytest.mark.e2e]


def pull(address: Address) -> pa.Table:
    """Read a stream as any HTTP client could."""
    answer = httpx2.get(
        address.endpoint, headers={"Authorization": f"Bearer {address.authorization}"}, timeout=30
    )
    assert answer.status_code == 200, answer.text[:1000]
    table = pa.ipc.open_stream(answer.content).read_all()
    table.validate(full=True)
    return table


def test_edc_reads_our_catalogue_and_takes_our_format_for_a_transfer_type(trade: Trade) -> None:
    found = trade.asked.catalog(trade.ours.did, trade.ours.dsp)
    assert found["participantId"] == trade.ours.did
    datasets = {one["@id"]: one for one in found["dataset"]}
    assert {OPEN_DATASET, FILTERED_DATASET} <= set(datasets)
    distributions = datasets[OPEN_DATASET]["distribution"]
    assert {one["format"] for one in distributions} == {FORMAT_ARROW_HTTP, FORMAT_HTTP_PUSH}
    assert {one["accessService"]["endpointURL"] for one in distributions} == {trade.ours.dsp}
    page = trade.asked.catalog(trade.ours.did, trade.ours.dsp, offset=1, limit=1)
    assert [one["@id"] for one in page["dataset"]] == [found["dataset"][1]["@id"]]


def test_edc_agrees_with_us_and_pulls_the_whole_table(trade: Trade) -> None:
    transfer = trade.start(OPEN_DATASET)
    mine = trade.ours.mirror("transfers", transfer)
    assert (mine["state"], mine["counterparty"]) == ("STARTED", trade.edc.participant)
    assert pull(trade.asked.address_received(transfer)).equals(trade.table)


def test_the_policy_that_edc_agreed_to_is_kept_in_its_stream(trade: Trade) -> None:
    pulled = pull(trade.asked.address_received(trade.start(FILTERED_DATASET)))
    expected = trade.table.filter(pc.greater_equal(trade.table["delay"], 10)).select(["number", "carrier"])
    assert 0 < expected.num_rows < trade.table.num_rows
    assert pulled.equals(expected)


def test_edc_has_us_push_to_the_address_that_it_names_under_the_policy(trade: Trade, store: Store) -> None:
    agreement = trade.agree(FILTERED_DATASET)
    where = f"/pushed-{trade.edc.version}"
    transfer = trade.asked.transfer(
        trade.ours.did,
        trade.ours.dsp,
        agreement,
        FORMAT_HTTP_PUSH,
        type="HttpData",
        baseUrl=store.url + where,
        authKey="X-Pass",
        authCode="of-the-sink",
    )
    trade.asked.await_transfer(transfer, "COMPLETED", "DEPROVISIONED")
    ((_, headers, body),) = [one for one in store.arrived if one[0] == where]
    assert headers["x-pass"] == "of-the-sink"
    with pa.ipc.open_stream(body) as stream:
        table = stream.read_all()
    table.validate(full=True)
    expected = trade.table.filter(pc.greater_equal(trade.table["delay"], 10)).select(["number", "carrier"])
    assert table.equals(expected)
    assert trade.ours.mirror("transfers", transfer)["state"] == "COMPLETED"


def test_edc_asks_for_offers_with_every_kind_of_right_operand_and_gets_them(trade: Trade) -> None:
    operands = {
        "number": (f"{HANSA}column/number", "lteq", 100),
        "typed": (
            f"{HANSA}column/number",
            "lteq",
            {"@value": "100", "@type": "http://www.w3.org/2001/XMLSchema#integer"},
        ),
        "list": (f"{HANSA}columns", "isAnyOf", ["number", "carrier"]),
        "list-of-one": (f"{HANSA}columns", "isAnyOf", ["number"]),
        "ids": (f"{HANSA}participant", "isAnyOf", [{"@id": trade.edc.participant}, {"@id": "did:web:b"}]),
        "date": ("odrl:dateTime", "lteq", {"@value": "2090-01-01T00:00:00Z", "@type": "xsd:dateTime"}),
    }
    asked = []
    for name, (left, operator, right) in operands.items():
        constraint = {"leftOperand": left, "operator": operator, "rightOperand": right}
        trade.ours.publish(f"urn:t:{name}", [{"action": "use", "constraint": [constraint]}])
        asked.append(trade.negotiate(f"urn:t:{name}"))
    for negotiation in asked:
        trade.asked.await_negotiation(negotiation, "FINALIZED")
        mine = trade.ours.mirror("negotiations", negotiation)
        assert (mine["state"], mine["problem"]) == ("FINALIZED", None)


def test_edc_is_refused_what_the_policy_does_not_permit_it_and_both_sides_end(trade: Trade) -> None:
    other = {"leftOperand": f"{HANSA}participant", "operator": "eq", "rightOperand": "did:web:other.example"}
    trade.ours.publish("urn:t:others", [{"action": "use", "constraint": [other]}])
    negotiation = trade.negotiate("urn:t:others")
    trade.asked.await_negotiation(negotiation, "TERMINATED")
    mine = trade.ours.mirror("negotiations", negotiation)
    assert (mine["state"], mine["problem"]) == ("TERMINATED", "use-denied")
    assert "did:web:other.example" in " ".join(mine["reasons"])
    with pytest.raises(AssertionError, match="no dataset has the id 'urn:t:nowhere'"):
        trade.asked.dataset(trade.ours.did, trade.ours.dsp, "urn:t:nowhere")


def test_the_pass_that_edc_received_opens_nothing_else_and_nothing_without_it(trade: Trade) -> None:
    first, second = (trade.asked.address_received(trade.start(OPEN_DATASET)) for _ in range(2))
    for endpoint, shown in ((first.endpoint, second.authorization), (first.endpoint, "nonsense")):
        answer = httpx2.get(endpoint, headers={"Authorization": f"Bearer {shown}"}, timeout=30)
        assert answer.status_code in (401, 404), answer.text[:500]
