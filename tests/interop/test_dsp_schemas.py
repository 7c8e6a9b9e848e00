"""Whatever we send is judged by the protocol's own JSON Schemas, and every official example is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from connector.negotiation.judge import Case, Judge, Say, Verdict
from connector.negotiation.machine import Said
from policies.compiled import compile_policy
from schemas.base import Document, Message
from schemas.binding.paths import ROUTES
from schemas.dcat import Catalog, NestedCatalog, RootDataset
from schemas.dsp import catalog, negotiation, transfer, version
from schemas.errors import Malformed, PolicyMismatch, UnknownContext, UnknownTerm
from schemas.identity import DidService
from schemas.jsonld import compact_form
from schemas.vocab import DSP_CONTEXT, FORMAT_ARROW_HTTP
from schemas.worded import TOLD
from tests.dsp_schemas import SCHEMAS, judged, official, problems
from tests.world import (
    MARKETING,
    SCIENCE,
    Decides,
    Party,
    World,
    open_offer,
    research_offer,
    small_world,
    use_for,
)

pytestmark = pytest.mark.interop

# --- what we send ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Everything that two connectors said to each other, in every way that they can."""
    documents: list[dict[str, Any]] = []
    official()
    with small_world(tmp_path_factory.mktemp("schemas")) as world:
        listen(world, documents)
        converse(world)
    return documents


def listen(world: World, documents: list[dict[str, Any]]) -> None:
    real = world.wire.handle_request

    def handle(request: httpx2.Request) -> httpx2.Response:
        content = request.read()
        response = real(request)
        answer = response.read()
        if "/dsp/" in request.url.path:
            documents.extend(json.loads(body) for body in (content, answer) if body)
        return response

    world.wire.handle_request = handle  # type: ignore[method-assign]


def converse(world: World) -> None:
    provider, consumer = world.join("provider"), world.join("consumer")
    consumer.post(
        provider, "/catalog/request", catalog.CatalogRequestMessage(id="urn:uuid:1", filter=({"text": "x"},))
    )
    provider.publish("urn:ds:1", research_offer(), open_offer())
    provider.publish("urn:ds:2", open_offer(prohibition=[{"action": "odrl:distribute"}]))
    consumer.post(provider, "/catalog/request", catalog.CatalogRequestMessage(id="urn:uuid:2"))
    consumer.post(
        provider, "/catalog/request", catalog.CatalogRequestMessage(id="urn:uuid:3", filter=("no",))
    )
    consumer.fetch(provider, "/catalog/datasets/urn:ds:1")
    consumer.fetch(provider, "/catalog/datasets/urn:ds:none")
    agreed = consumer.agree(provider, "urn:ds:1", research_offer(), use_for(SCIENCE))
    assert agreed.agreement is not None
    consumer.agree(provider, "urn:ds:1", research_offer(), use_for(MARKETING))
    countered = consumer.agree(
        provider,
        "urn:ds:1",
        open_offer("offer-research", prohibition=[{"action": "odrl:sell"}]),
        use_for(SCIENCE),
    )
    consumer.negotiations.approve(countered.pid)
    offered = provider.negotiations.offer(
        consumer=consumer.did, endpoint=consumer.dsp, dataset="urn:ds:1", offer=open_offer("special")
    )
    world.settle()
    consumer.negotiations.terminate(str(provider.negotiations.own(offered.pid).counter_pid), "no, thank you")
    world.settle()
    haggle(world, provider)
    move_data(world, provider, consumer, agreed.agreement.id)
    for pid in ("urn:uuid:none", str(agreed.counter_pid)):
        consumer.fetch(provider, f"/negotiations/{pid}")
        consumer.fetch(provider, f"/transfers/{pid}")
        end = negotiation.ContractNegotiationTerminationMessage(
            id="m", provider_pid=pid, consumer_pid=agreed.pid
        )
        consumer.post(provider, f"/negotiations/{pid}/termination", end)
    consumer.post(provider, "/negotiations/request", {"bad": 1}, token="Bearer x")
    consumer.post(provider, "/transfers/request", {"bad": 1})


def haggle(world: World, provider: Party) -> None:
    def counter(case: Case) -> Verdict:
        if case.state == "OFFERED":
            return Say(Said.REQUEST, offer=research_offer("mine"))
        return Judge()(case)

    stubborn = world.join("stubborn", judge=Decides(counter))
    stubborn.agree(provider, "urn:ds:2", open_offer())


def move_data(world: World, provider: Party, consumer: Party, agreement: str) -> None:
    for end in ("complete", "terminate"):
        opened = consumer.transfers.request(agreement, None, FORMAT_ARROW_HTTP)
        world.settle()
        consumer.transfers.suspend(opened.pid, "a pause")
        world.settle()
        consumer.transfers.start(opened.pid)
        world.settle()
        if end == "complete":
            consumer.transfers.complete(opened.pid)
        else:
            provider.transfers.terminate(str(consumer.transfers.own(opened.pid).counter_pid), "enough")
        world.settle()
    consumer.transfers.request(agreement, use_for(MARKETING), FORMAT_ARROW_HTTP)
    consumer.transfers.request(agreement, None, "Nonsense-PULL")
    world.settle()


def test_every_kind_of_document_was_sent(heard: list[dict[str, Any]]) -> None:
    said = {str(document.get("@type")) for document in heard}
    expected = {route.message.TYPE for route in ROUTES} | set(SCHEMAS)
    assert expected <= said | {"Dataset"}
    assert any(document.get("eventType") == "ACCEPTED" for document in heard)
    requests = [document for document in heard if document.get("@type") == "ContractRequestMessage"]
    assert any("providerPid" in document for document in requests), "a counter-offer"


def test_whatever_is_sent_is_valid_by_the_official_schemas(heard: list[dict[str, Any]]) -> None:
    wrong = {
        document["@type"]: judged(document)
        for document in heard
        if document.get("@type") in SCHEMAS and document.get("@context") and judged(document)
    }
    assert wrong == {}


def test_what_reasons_say_travels_as_one_text_beside_them(heard: list[dict[str, Any]]) -> None:
    told = [document for document in heard if TOLD in document]
    assert told, "no denial was sent"
    for document in told:
        # A foreign JSON-LD processor finds text under a name of ours, and plain texts as reasons.
        assert isinstance(document[TOLD], str)
        assert all(isinstance(reason, str) for reason in document["reason"])
        assert len(json.loads(document[TOLD])) == len(document["reason"])


def test_whatever_is_sent_keeps_its_meaning_under_our_own_reading(heard: list[dict[str, Any]]) -> None:
    read = {kind.TYPE: kind for kind in MESSAGES}
    for document in heard:
        kind = read.get(str(document.get("@type")))
        if kind is not None and "@context" in document and set(document) > {"@context", "@type"}:
            assert kind.read(compact_form(document)).wire() == document


def test_the_spec_s_examples_are_read_alike_with_more_prefixes_and_refused_with_imports() -> None:
    folder = official()
    written = json.loads((folder / "context" / "dspace.jsonld").read_text())["@context"]
    read = {kind.TYPE: kind for kind in MESSAGES}
    compared = 0
    for file in sorted(folder.rglob("example/*.json")):
        document = json.loads(file.read_text())
        kind = read.get(document.get("@type"))
        if kind is not None:
            with pytest.raises(UnknownContext, match=r"odrl-profile\.jsonld.*list it in '@context'"):
                compact_form({**document, "@context": [written]})
            told = compact_form({**document, "@context": [DSP_CONTEXT, {"ex": "https://example.org/"}]})
            assert kind.read(told) == kind.read(compact_form(document)), file.name
            compared += 1
    assert compared >= 15


def test_the_version_document_is_valid(tmp_path: Path) -> None:
    official()
    with small_world(tmp_path) as world:
        provider = world.join("provider")
        document = provider.http.get(provider.url + "/.well-known/dspace-version").json()
    assert problems(document, "common/protocol-version-schema.json") == []


def test_messages_with_extra_members_from_edc_are_read() -> None:
    document = {
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld", "https://w3id.org/edc/dspace/v0.0.1"],
        "@type": "ContractRequestMessage",
        "@id": "urn:uuid:1",
        "consumerPid": "3d1",
        "callbackAddress": "http://localhost:19194/protocol/2025-1",
        "id": "x",
        "offer": {
            "@id": "ZGVm:YXNzZXQ=:dXVpZA==",
            "@type": "Offer",
            "assigner": "provider",
            "target": "a1",
            "permission": [{"action": "use"}],
            "prohibition": [],
            "obligation": [],
        },
    }
    read = negotiation.ContractRequestMessage.read(compact_form(document))
    assert read.offer.target == "a1"


# --- what others send --------------------------------------------------------------------------------

MESSAGES: tuple[type[Message], ...] = (
    catalog.CatalogRequestMessage,
    catalog.CatalogError,
    negotiation.ContractRequestMessage,
    negotiation.ContractOfferMessage,
    negotiation.ContractAgreementMessage,
    negotiation.ContractAgreementVerificationMessage,
    negotiation.ContractNegotiationEventMessage,
    negotiation.ContractNegotiationTerminationMessage,
    negotiation.ContractNegotiation,
    negotiation.ContractNegotiationError,
    transfer.TransferRequestMessage,
    transfer.TransferStartMessage,
    transfer.TransferCompletionMessage,
    transfer.TransferSuspensionMessage,
    transfer.TransferTerminationMessage,
    transfer.TransferProcess,
    transfer.TransferError,
    Catalog,
)

# What an example is read as, where its '@type' does not say; None: it is no document of the binding.
OTHERWISE: dict[str, type[Document] | None] = {
    "dataset.json": RootDataset,
    "nested-catalog.json": Catalog,
    "protocol-version.json": version.VersionDocument,
    "dataset-request-message.json": None,
    "catalogservice-did-service.json": DidService,
    "dataservice-did-service.json": DidService,
}


def examples() -> Iterator[Path]:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "dsp" / "artifacts"
    yield from sorted(folder.rglob("example/*.json"))


@pytest.mark.parametrize("path", list(examples()) or [None], ids=lambda path: path.name if path else "absent")
def test_every_official_example_is_read_and_written_again_as_it_was(path: Path | None) -> None:
    if path is None:
        official()
        pytest.fail("the official examples moved")
    document = json.loads(path.read_text(encoding="utf-8"))
    kinds = {kind.TYPE: kind for kind in MESSAGES}
    kind = OTHERWISE.get(path.name, kinds.get(str(document.get("@type"))))
    if kind is None:
        assert path.name == "dataset-request-message.json", "only the abstract message has no body over HTTPS"
        return
    read: Document
    if kind in (version.VersionDocument, DidService):
        read = kind.read(document)
    else:
        read = kind.read(compact_form(document))
        assert problems(read.wire(), SCHEMAS[document.get("@type", "Dataset")]) == []
    assert read.wire() == kind.read(read.wire()).wire()


def test_the_examples_of_offers_and_agreements_are_understood_or_refused_by_name() -> None:
    official()
    seen = 0
    for path in examples():
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("@type") == "ContractAgreementMessage":
            agreement = negotiation.ContractAgreementMessage.read(compact_form(document)).agreement
            seen += 1
            with suppress(UnknownTerm, PolicyMismatch, Malformed):
                compile_policy(agreement)
    assert seen >= 2
    assert NestedCatalog.read({"@id": "x", "@type": "Catalog"}).type == "Catalog"
