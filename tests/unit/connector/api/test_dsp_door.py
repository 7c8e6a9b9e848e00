from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pytest

from connector.api.catalog_page import MOST_PAGE
from schemas.base import Role
from schemas.binding.client import Reply
from schemas.binding.paths import ROUTES
from schemas.dsp import negotiation as words
from schemas.dsp import transfer
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.vocab import DSP_CONTEXT, EDC
from tests.world import PREFIX, Party, World, open_offer, research_offer

CONTEXT = [DSP_CONTEXT]
ASK = {"@context": CONTEXT, "@type": "CatalogRequestMessage"}
DATASET = "urn:ds:flights"


def raw(sender: Party, to: Party, path: str, body: bytes, **headers: str) -> httpx2.Response:
    """Post bytes, as no client of ours would."""
    given = {"Authorization": sender.trust.prove(to.did), "Content-Type": "application/json", **headers}
    with httpx2.Client(transport=to.world.wire) as client:
        return client.post(to.dsp + path, content=body, headers=given)


def error(reply: Reply | httpx2.Response) -> dict[str, Any]:
    document: dict[str, Any] = reply.json() if isinstance(reply, Reply) else json.loads(reply.content)
    assert document["@context"] == CONTEXT
    return document


# --- the surface -------------------------------------------------------------------------------------


def test_the_version_document_needs_no_token_and_names_the_path(provider: Party) -> None:
    for path in ("/.well-known/dspace-version", "/.well-known/dspace-version/"):
        reply = provider.http.get(provider.url + path)
        assert reply.status == 200
        (version,) = reply.json()["protocolVersions"]
        assert (version["version"], version["path"], version["binding"]) == ("2025-1", PREFIX, "HTTPS")
        assert version["identifierType"] == "did:web"


def test_every_endpoint_of_the_protocol_is_served_with_and_without_a_trailing_slash(
    provider: Party, consumer: Party
) -> None:
    posts = [route.path.replace("{pid}", "urn:uuid:none") for route in ROUTES]
    gets = ["/catalog/datasets/urn:none", "/negotiations/urn:uuid:none", "/transfers/urn:uuid:none"]
    for slash in ("", "/"):
        for path in posts:
            reply = consumer.http.post(provider.dsp + path + slash, {"@context": CONTEXT, "@type": "x"})
            assert reply.status == 401, path
        for path in gets:
            assert consumer.http.get(provider.dsp + path + slash).status == 401, path
            assert consumer.fetch(provider, path + slash).status == 404, path
    assert len({*posts, *gets}) == 17, "26 of the digest, less those that both roles share, and the version"


def test_both_roles_can_be_asked_for_the_state_of_their_processes(
    world: World, provider: Party, consumer: Party
) -> None:
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer())
    expected = {
        "@context": CONTEXT,
        "@type": "ContractNegotiation",
        "providerPid": ours.counter_pid,
        "consumerPid": ours.pid,
        "state": "FINALIZED",
    }
    assert consumer.fetch(provider, f"/negotiations/{ours.counter_pid}").json() == expected
    assert provider.fetch(consumer, f"/negotiations/{ours.pid}/").json() == expected
    assert ours.agreement is not None
    opened = consumer.transfers.request(ours.agreement.id, None, "ArrowStream-PULL")
    world.settle()
    mine = consumer.transfers.own(opened.pid)
    assert consumer.fetch(provider, f"/transfers/{mine.counter_pid}").json()["state"] == "STARTED"
    assert provider.fetch(consumer, f"/transfers/{mine.pid}").json()["@type"] == "TransferProcess"


def test_the_answer_shows_the_state_that_the_message_itself_reached(provider: Party, consumer: Party) -> None:
    provider.publish(DATASET, open_offer())
    message = words.ContractRequestMessage(
        id="m", consumer_pid="c", callback_address=consumer.dsp, offer=open_offer(target=DATASET)
    )
    reply = consumer.post(provider, "/negotiations/request/", message)
    assert (reply.status, reply.json()["state"]) == (201, "REQUESTED")
    assert provider.negotiations.recent()[0].state == "AGREED", "our own step came after the answer"


# --- bad input ---------------------------------------------------------------------------------------

PLACES = [
    ("/catalog/request", "CatalogError"),
    ("/negotiations/request", "ContractNegotiationError"),
    ("/negotiations/urn:uuid:1/agreement", "ContractNegotiationError"),
    ("/transfers/request", "TransferError"),
    ("/transfers/urn:uuid:1/start", "TransferError"),
]


@pytest.mark.parametrize(("path", "kind"), PLACES)
@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "body is not JSON"),
        (b"", 400, "body is not JSON"),
        (b"\xff\xfe{}", 400, "body is not JSON"),
        (b"[]", 400, "expected a JSON-LD object"),
        (b"{}", 400, "no '@context'"),
        (
            b'{"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "Nonsense"}',
            400,
            "expected '@type'",
        ),
        (
            b'{"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": ["A"]}',
            400,
            "expected '@type'",
        ),
        (b'{"@context": ["https://evil.example/context.jsonld"], "@type": "X"}', 400, "never fetched"),
        (b'{"@context": "https://w3id.org/dspace/2024/1/context.json", "@type": "X"}', 400, "never fetched"),
        (
            b'{"@context": ["https://w3id.org/dspace/2025/1/context.jsonld", {"@import": "http://x/"}]}',
            400,
            "never fetched",
        ),
        (b"[" * 5000, 400, "body is not JSON"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, 413, "nests deeper"),
        (b'{"@context": "' + b"x" * (1 << 20) + b'"}', 413, "at most"),
        (b'{"@context": NaN}', 400, ""),
    ],
)
def test_bad_bodies_get_a_typed_error_that_says_what_is_wrong(
    quiet: tuple[Party, Party], path: str, kind: str, body: bytes, status: int, says: str
) -> None:
    provider, consumer = quiet
    reply = raw(consumer, provider, path, body)
    assert reply.status_code == status
    said = error(reply)
    assert said["@type"] == kind
    assert says in said["reason"][0]
    assert all(host.startswith("localhost") for host in provider.world.wire.apps)


def test_a_body_that_lies_about_its_length_is_cut_off(provider: Party, consumer: Party) -> None:
    reply = raw(consumer, provider, "/catalog/request", b"{}", **{"Content-Length": "99999999999"})
    assert reply.status_code == 413


@pytest.mark.parametrize("token", ["", "Bearer x", "Basic YTpi", "x" * 20_000])
def test_without_a_good_token_nothing_is_read_and_the_error_is_typed(
    quiet: tuple[Party, Party], token: str
) -> None:
    provider, consumer = quiet
    reply = consumer.post(
        provider, "/negotiations/request", {"@context": CONTEXT, "@type": "Nonsense"}, token=token
    )
    assert reply.status == 401
    assert error(reply)["@type"] == "ContractNegotiationError"
    assert reply.headers["www-authenticate"] == "Bearer"


def test_a_replayed_token_is_refused(provider: Party, consumer: Party) -> None:
    token = consumer.trust.prove(provider.did)
    assert consumer.post(provider, "/catalog/request", ASK, token=token).status == 200
    reply = consumer.post(provider, "/catalog/request", ASK, token=token)
    assert reply.status == 401
    assert "used before" in error(reply)["reason"][0]


def test_an_error_echoes_the_process_ids_that_were_named(provider: Party, consumer: Party) -> None:
    message = words.ContractAgreementVerificationMessage(
        id="m", provider_pid="urn:uuid:9", consumer_pid="urn:uuid:8"
    )
    reply = consumer.post(provider, "/negotiations/urn:uuid:9/agreement/verification", message)
    said = error(reply)
    assert (reply.status, said["providerPid"], said["consumerPid"]) == (404, "urn:uuid:9", "urn:uuid:8")


def test_text_that_is_no_unicode_is_refused_and_not_stored(provider: Party, consumer: Party) -> None:
    provider.publish(DATASET, open_offer())
    message = words.ContractRequestMessage(
        id="m", consumer_pid="c", callback_address=consumer.dsp, offer=open_offer(target=DATASET)
    ).wire()
    message["offer"]["permission"][0]["constraint"] = [
        {"leftOperand": "purpose", "operator": "eq", "rightOperand": "SURROGATE"}
    ]
    body = json.dumps(message).replace("SURROGATE", "\\ud800").encode()
    reply = raw(consumer, provider, "/negotiations/request", body)
    assert reply.status_code == 400
    assert provider.negotiations.recent() == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"callbackAddress": None}, "exactly one of callbackAddress"),
        ({"providerPid": "p"}, "exactly one of callbackAddress"),
        ({"callbackAddress": "file:///etc/passwd"}, "not an http(s) base URL"),
        ({"consumerPid": "x" * 600}, "consumerPid"),
        ({"consumerPid": ""}, "your process id"),
        ({"consumerPid": "a\u0000b"}, "NUL"),
        ({"offer": {"@id": "o", "permission": [{"action": "use"}]}}, "offer.target is missing"),
        ({"offer": {"@id": "o", "target": "t", "permission": [{"constraint": []}]}}, "action"),
        ({"https://w3id.org/hansa/policy/1#use": {"action": "x" * 600}}, "action of the declared use"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_by_place_and_nothing_is_kept(
    quiet: tuple[Party, Party], change: dict[str, Any], says: str
) -> None:
    provider, consumer = quiet
    provider.publish(DATASET, open_offer())
    message = words.ContractRequestMessage(
        id="m", consumer_pid="c", callback_address=consumer.dsp, offer=open_offer(target=DATASET)
    ).wire()
    reply = consumer.post(
        provider, "/negotiations/request", {k: v for k, v in (message | change).items() if v is not None}
    )
    assert reply.status == 400
    assert says in error(reply)["reason"][0]
    assert provider.negotiations.recent() == []


def test_an_illegal_move_is_a_400_that_says_what_may_be_said(provider: Party, consumer: Party) -> None:
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer())
    pid = str(ours.counter_pid)
    for path, message in (
        (
            "request",
            words.ContractRequestMessage(
                id="1", consumer_pid=ours.pid, provider_pid=pid, offer=open_offer(target=DATASET)
            ),
        ),
        (
            "agreement/verification",
            words.ContractAgreementVerificationMessage(id="2", consumer_pid=ours.pid, provider_pid=pid),
        ),
        (
            "events",
            words.ContractNegotiationEventMessage(
                id="3", consumer_pid=ours.pid, provider_pid=pid, event_type="FINALIZED"
            ),
        ),
        (
            "termination",
            words.ContractNegotiationTerminationMessage(id="4", consumer_pid=ours.pid, provider_pid=pid),
        ),
    ):
        reply = consumer.post(provider, f"/negotiations/{pid}/{path}/", message)
        assert reply.status == 400
        said = error(reply)
        assert (said["@type"], said["code"]) == ("ContractNegotiationError", "illegal-move")
        assert "here consumer may say nothing" in said["reason"][0]


def test_the_wrong_event_for_a_role_is_an_error(provider: Party, consumer: Party) -> None:
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer(prohibition=[{"action": "odrl:sell"}]))
    assert ours.role is Role.CONSUMER
    message = words.ContractNegotiationEventMessage(
        id="1", consumer_pid=ours.pid, provider_pid=str(ours.counter_pid), event_type="FINALIZED"
    )
    assert consumer.post(provider, f"/negotiations/{ours.counter_pid}/events", message).status == 400
    accepted = message.model_copy(update={"event_type": "ACCEPTED", "id": "2"})
    assert provider.post(consumer, f"/negotiations/{ours.pid}/events", accepted).status == 400


def test_a_foreign_form_of_json_ld_is_read(provider: Party, consumer: Party) -> None:
    provider.publish(DATASET, open_offer())
    expanded = {
        "@context": {"dspace": "https://w3id.org/dspace/2025/1/"},
        "@type": "dspace:CatalogRequestMessage",
    }
    reply = consumer.post(provider, "/catalog/request", expanded)
    assert reply.status == 200, reply.body


# --- the catalogue -----------------------------------------------------------------------------------


def filled(provider: Party, number: int) -> None:
    for index in range(number):
        provider.publish(
            f"urn:ds:{index:04d}",
            open_offer(),
            title=f"Dataset {index} of {'taxis' if index % 2 else 'trains'}",
        )


def ids(reply: Reply) -> list[str]:
    return [dataset["@id"] for dataset in reply.json().get("dataset", [])]


def link(reply: Reply, rel: str) -> str | None:
    found = re.search(rf'<([^>]+)>; rel="{rel}"', reply.headers.get("link", ""))
    return found.group(1) if found else None


def test_an_empty_catalogue_leaves_the_datasets_out(provider: Party, consumer: Party) -> None:
    document = consumer.post(provider, "/catalog/request", ASK).json()
    assert "dataset" not in document
    assert document["participantId"] == provider.did
    assert document["service"][0]["endpointURL"] == provider.dsp


@pytest.mark.parametrize("context", [CONTEXT, [*CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"]])
def test_edcs_query_gives_exactly_its_page_and_a_crawler_comes_to_an_end(
    provider: Party, consumer: Party, context: list[str]
) -> None:
    filled(provider, 5)
    seen: list[str] = []
    for offset in range(0, 100, 2):
        query = {
            "@type": "QuerySpec",
            "offset": offset,
            "limit": 2,
            "sortOrder": "ASC",
            "filterExpression": [],
        }
        found = ids(
            consumer.post(provider, "/catalog/request", {**ASK, "@context": context, "filter": [query]})
        )
        seen += found
        if len(found) < 2:
            break
    assert seen == [f"urn:ds:{index:04d}" for index in range(5)]


def test_pages_are_linked_both_ways_and_the_link_is_posted_to(provider: Party, consumer: Party) -> None:
    filled(provider, 5)
    query = {"@type": "QuerySpec", "offset": 0, "limit": 2}
    first = consumer.post(provider, "/catalog/request", {**ASK, "filter": [query]})
    assert link(first, "previous") is None
    pages, reply = [ids(first)], first
    while following := link(reply, "next"):
        reply = consumer.post(provider, following.removeprefix(provider.dsp), ASK)
        pages.append(ids(reply))
    assert [len(page) for page in pages] == [2, 2, 1]
    back = link(reply, "previous")
    assert back is not None
    assert ids(consumer.post(provider, back.removeprefix(provider.dsp), ASK)) == pages[1]


def test_words_can_be_looked_for_and_stay_looked_for_on_the_next_page(
    provider: Party, consumer: Party
) -> None:
    filled(provider, 9)
    query = {"@type": EDC + "QuerySpec", EDC + "limit": {"@value": 3}, EDC + "offset": 0}
    reply = consumer.post(provider, "/catalog/request", {**ASK, "filter": [{"text": "trains"}, query]})
    assert ids(reply) == ["urn:ds:0000", "urn:ds:0002", "urn:ds:0004"]
    following = link(reply, "next")
    assert following is not None
    assert ids(consumer.post(provider, following.removeprefix(provider.dsp), ASK)) == [
        "urn:ds:0006",
        "urn:ds:0008",
    ]


@pytest.mark.parametrize(
    "filters",
    [
        ["words"],
        [{"color": "red"}],
        [{"text": 5}],
        [{"text": "x" * 500}],
        [{"@type": "QuerySpec", "offset": -1}],
        [{"@type": "QuerySpec", "offset": "0"}],
        [{"@type": "QuerySpec", "limit": 0}],
        [{"@type": "QuerySpec", "limit": True}],
        [{"@type": "QuerySpec", "sortField": "title"}],
        [
            {
                "@type": "QuerySpec",
                "filterExpression": [{"operandLeft": "name", "operator": "=", "operandRight": "x"}],
            }
        ],
    ],
)
def test_a_filter_that_is_not_supported_is_a_400_that_says_so(
    quiet: tuple[Party, Party], filters: list[Any]
) -> None:
    provider, consumer = quiet
    reply = consumer.post(provider, "/catalog/request", {**ASK, "filter": filters})
    assert reply.status == 400
    assert error(reply)["@type"] == "CatalogError"


def test_no_filter_and_an_empty_one_are_the_same(provider: Party, consumer: Party) -> None:
    filled(provider, 2)
    for body in (ASK, {**ASK, "filter": []}, CatalogRequestMessage(id="urn:uuid:1")):
        assert len(ids(consumer.post(provider, "/catalog/request", body))) == 2


def test_a_page_is_never_longer_than_the_bound(provider: Party, consumer: Party) -> None:
    query = {"@type": "QuerySpec", "limit": 2**31}
    filled(provider, 3)
    assert MOST_PAGE >= 100, "EDC's crawler asks for hundreds and stops at a short page"
    assert len(ids(consumer.post(provider, "/catalog/request", {**ASK, "filter": [query]}))) == 3


@pytest.mark.parametrize("token", ["x", "bm9uc2Vuc2U", "WzAsMCxudWxsXQ", "Wy0xLDUsbnVsbF0", "e30"])
def test_a_continuation_that_is_not_ours_is_refused(quiet: tuple[Party, Party], token: str) -> None:
    provider, consumer = quiet
    reply = consumer.post(provider, f"/catalog/request?continuation={token}", ASK)
    assert reply.status == 400


def test_a_long_answer_is_zipped_for_who_takes_it(provider: Party, consumer: Party) -> None:
    filled(provider, 20)
    body = json.dumps(ASK).encode()
    plain = raw(consumer, provider, "/catalog/request", body, **{"Accept-Encoding": "identity"})
    refused = raw(consumer, provider, "/catalog/request", body, **{"Accept-Encoding": "gzip;q=0"})
    zipped = raw(consumer, provider, "/catalog/request", body, **{"Accept-Encoding": "deflate, gzip;q=0.5"})
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.headers["vary"] == "Accept-Encoding"
    assert zipped.content == plain.content
    assert int(zipped.headers["content-length"]) * 3 < len(plain.content)


def test_a_dataset_is_found_by_its_id_even_if_that_is_a_url(provider: Party, consumer: Party) -> None:
    for dataset in ("urn:ds:1", "https://example.org/data/1", "https://example.org/data/2/"):
        provider.publish(dataset, open_offer())
        quoted = dataset.replace("/", "%2F")
        for path in (quoted, quoted + "/"):
            reply = consumer.fetch(provider, f"/catalog/datasets/{path}")
            assert reply.status == 200, path
            assert reply.json()["@id"] == dataset
            assert reply.json()["@context"] == CONTEXT


def test_an_unknown_dataset_is_a_404_with_a_catalog_error(provider: Party, consumer: Party) -> None:
    reply = consumer.fetch(provider, "/catalog/datasets/CAT0103")
    assert reply.status == 404
    assert error(reply)["@type"] == "CatalogError"


def test_a_transfer_message_does_not_belong_to_a_negotiation(provider: Party, consumer: Party) -> None:
    provider.publish(DATASET, open_offer())
    ours = consumer.agree(provider, DATASET, open_offer())
    message = transfer.TransferCompletionMessage(
        id="m", provider_pid=str(ours.counter_pid), consumer_pid=ours.pid
    )
    assert consumer.post(provider, f"/transfers/{ours.counter_pid}/completion", message).status == 404
    assert consumer.post(provider, f"/negotiations/{ours.counter_pid}/events", message).status == 400


def test_a_dataset_says_in_its_headers_what_is_reserved_of_text_and_data_mining(
    provider: Party, consumer: Party
) -> None:
    provider.publish("urn:ds:open", open_offer())
    provider.publish("urn:ds:research", research_offer())
    free = consumer.fetch(provider, "/catalog/datasets/urn:ds:open").headers
    kept = consumer.fetch(provider, "/catalog/datasets/urn:ds:research").headers
    assert (free["tdm-reservation"], kept["tdm-reservation"]) == ("0", "1")
    assert "tdm-policy" not in free
    assert kept["tdm-policy"] == f"{provider.dsp}/catalog/datasets/urn%3Ads%3Aresearch"
