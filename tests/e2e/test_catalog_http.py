"""The catalogue over real sockets: who may push, what is served, crawling, restarts, the command line."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import rdflib

from catalog.adapters.files import load_key
from catalog.app import AUTHORITY_PUBLIC, now
from schemas.identity import did_for, verify_members
from schemas.vocab import DSP_CONTEXT, EDC
from tests.catalog_space import (
    DSP,
    RESEARCH_ONLY,
    Provider,
    Space,
    catalogue,
    dataset,
    flights,
    free_port,
    offer,
    running_catalogue,
    serving,
)
from tests.patience import until
from tests.shared_data import shared_data

pytestmark = pytest.mark.e2e

FLIGHTS = "urn:hansa:mobility:nycflights13-flights"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    with serving(made.app(), made.port):
        yield made


@pytest.fixture(scope="module")
def consumer() -> Iterator[Provider]:
    made = Provider()
    with serving(made.app(), made.port):
        yield made


@pytest.fixture(scope="module")
def stranger() -> Iterator[Provider]:
    made = Provider()
    with serving(made.app(), made.port):
        yield made


@pytest.fixture
def space(tmp_path: Path, provider: Provider, consumer: Provider) -> Iterator[Space]:
    provider.datasets, provider.asked, provider.failing, provider.link = [], [], None, None
    provider.participant, provider.page_size, provider.failing_from_page = None, 1000, 0
    with running_catalogue(tmp_path, provider.member("provider"), consumer.member("consumer")) as running:
        yield running


def test_a_pushed_dataset_is_found_judged_and_shown(space: Space, provider: Provider) -> None:
    taken = space.push(provider, [flights(), dataset("urn:bad", hasPolicy=[])])
    assert taken.status_code == 200
    body = taken.json()
    assert (body["accepted"], body["unchanged"]) == (1, 0)
    assert body["refused"] == [{"id": "urn:bad", "reason": body["refused"][0]["reason"]}]
    assert "no offer" in body["refused"][0]["reason"]

    found = space.search("flights", action="train")
    (hit,) = found["hits"]
    assert (hit["id"], hit["provider"], hit["endpoint"]) == (FLIGHTS, provider.did, provider.dsp)
    assert (hit["rows"], hit["bytes"], hit["offers"][0]["@id"]) == (336_776, 5_242_880, "urn:offer:research")
    assert hit["eligibility"]["answer"] == "after a step"
    assert found["total"] == 1
    assert found["facets"]["theme"] == [{"value": "TRAN", "label": "Transport", "count": 1}]
    assert found["milliseconds"] > 0
    assert (
        space.search("flights", purpose="ScientificResearch")["hits"][0]["eligibility"]["answer"]
        == "yours now"
    )
    assert space.search("flights", purpose="dpv:Marketing")["hits"][0]["eligibility"]["answer"] == "no"

    shown = space.http.get(hit["url"], headers={"Accept": "text/html"})
    assert shown.status_code == 200
    assert "Flights data" in shown.text
    assert f"connector.open(&#34;{space.url}&#34;, &#34;{FLIGHTS}&#34;, purpose=" in shown.text


def test_pushing_again_is_idempotent_and_withdrawing_leaves_a_reason(
    space: Space, provider: Provider
) -> None:
    space.push(provider, [flights()])
    assert space.push(provider, [flights()]).json() == {"accepted": 0, "unchanged": 1, "refused": []}
    assert space.withdraw(provider, FLIGHTS).status_code == 200
    assert space.ids() == []
    gone = space.http.get(f"{space.url}/datasets/{quote(FLIGHTS, safe='')}")
    assert gone.status_code == 404
    assert "withdrawn by its provider" in gone.json()["detail"]
    assert space.withdraw(provider, FLIGHTS).status_code == 404
    assert space.push(provider, [flights()]).json()["accepted"] == 1


def test_only_a_listed_provider_with_its_listed_key_may_push(
    space: Space, provider: Provider, consumer: Provider, stranger: Provider
) -> None:
    impostor = Provider(port=provider.port)
    attempts = {
        "nobody": (space.http.post(f"{space.url}/publish", json=catalogue(provider.did, [])), 401),
        "a stranger": (space.push(stranger, [flights()]), 403),
        "a consumer": (space.push(consumer, [flights()]), 403),
        "another key": (space.push(impostor, [flights()]), 401),
        "another audience": (space.push(provider, [flights()], audience=consumer.did), 401),
        "an old token": (space.push(provider, [flights()], at=now() - timedelta(hours=1)), 401),
        "a token of tomorrow": (space.push(provider, [flights()], at=now() + timedelta(days=1)), 401),
        "nonsense": (space.http.post(f"{space.url}/publish", headers={"Authorization": "Bearer x.y.z"}), 401),
    }
    wrong = {
        name: reply.status_code for name, (reply, status) in attempts.items() if reply.status_code != status
    }
    assert wrong == {}
    assert space.ids() == []
    stolen = space.http.post(
        f"{space.url}/publish", json=catalogue(consumer.did, [flights()]), headers=space.as_(provider)
    )
    assert stolen.status_code == 403
    assert consumer.did in stolen.json()["detail"]


def test_a_token_is_good_for_one_request(space: Space, provider: Provider) -> None:
    headers = space.as_(provider)
    document = catalogue(provider.did, [flights()], provider.dsp)
    assert space.http.post(f"{space.url}/publish", json=document, headers=headers).status_code == 200
    replayed = space.http.post(f"{space.url}/publish", json=document, headers=headers)
    assert replayed.status_code == 401
    assert "used before" in replayed.json()["detail"]


def test_a_membership_that_ended_ends_at_once(space: Space, provider: Provider) -> None:
    space.parts.members.add(provider.member("provider", validTo=(now() - timedelta(seconds=1)).isoformat()))
    assert space.push(provider, [flights()]).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"[" * 100_000, 400),
        (json.dumps({"@context": ["https://evil.example/c"], "@type": "Catalog"}).encode(), 400),
        (json.dumps({"a": {"@context": "https://evil.example/c"}, "@context": [DSP_CONTEXT]}).encode(), 400),
        (b'{"a":' * 70 + b"1" + b"}" * 70, 413),
    ],
)
def test_a_malformed_push_is_refused_in_words(
    space: Space, provider: Provider, body: bytes, status: int
) -> None:
    reply = space.http.post(f"{space.url}/publish", content=body, headers=space.as_(provider))
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["detail"]


def test_a_push_past_its_bounds_is_refused(space: Space, provider: Provider) -> None:
    many = space.push(provider, [dataset(f"urn:{number}") for number in range(1001)])
    assert (many.status_code, "at most 1000" in many.json()["detail"]) == (413, True)
    # Refused by what it announces: not one byte of such a body is read.
    head = f"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: {65 << 20}\r\n"
    with socket.create_connection(("127.0.0.1", int(space.url.rpartition(":")[2])), timeout=20) as raw:
        raw.sendall(f"{head}Authorization: Bearer {space.token(provider)}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(4096)


# the Dataspace Protocol


def ask(space: Space, who: Provider, *filters: Any, url: str = "") -> httpx2.Response:
    message: dict[str, Any] = {"@context": [DSP_CONTEXT], "@type": "CatalogRequestMessage"}
    if filters:
        message["filter"] = list(filters)
    return space.http.post(url or f"{space.url}{DSP}/catalog/request", json=message, headers=space.as_(who))


def datasets_of(document: dict[str, Any]) -> list[str]:
    return [item["@id"] for nested in document.get("catalog", []) for item in nested["dataset"]]


def validator(name: str) -> Any:
    import jsonschema
    from referencing import Registry, Resource

    root = shared_data("dsp", "artifacts", "src", "main", "resources")
    loaded = [json.loads(path.read_text()) for path in root.rglob("*-schema.json")]
    registry: Any = Registry().with_resources(
        [(each["$id"], Resource.from_contents(each)) for each in loaded if "$id" in each]
    )
    chosen = next(each for each in loaded if each.get("$id", "").endswith(f"/{name}-schema.json"))
    return jsonschema.Draft201909Validator(chosen, registry=registry)


def test_members_read_the_catalogue_over_dsp_and_it_fits_the_official_schema(
    space: Space, provider: Provider, consumer: Provider
) -> None:
    empty = ask(space, consumer)
    assert empty.status_code == 200
    validator("catalog").validate(empty.json())
    space.push(provider, [flights(), dataset("asset 1/x")])
    reply = ask(space, consumer)
    document = reply.json()
    validator("catalog").validate(document)
    assert document["participantId"] == space.did
    (nested,) = document["catalog"]
    assert (nested["participantId"], nested["service"][0]["endpointURL"]) == (provider.did, provider.dsp)
    assert sorted(datasets_of(document)) == ["asset 1/x", FLIGHTS]
    for id in ("asset 1/x", FLIGHTS):
        one = space.http.get(
            f"{space.url}{DSP}/catalog/datasets/{quote(id, safe='')}", headers=space.as_(consumer)
        )
        assert one.status_code == 200
        validator("dataset").validate(one.json())
        assert one.json()["@id"] == id


def test_a_dataset_is_told_with_a_trailing_slash_and_one_whose_id_ends_in_one_goes_before(
    space: Space, provider: Provider, consumer: Provider
) -> None:
    space.push(provider, [dataset("urn:a"), dataset("urn:b"), dataset("urn:b/")])
    for path, status, told in (
        ("urn:a", 200, "urn:a"),
        ("urn:a/", 200, "urn:a"),
        ("urn:b", 200, "urn:b"),
        ("urn:b/", 200, "urn:b/"),
        ("urn:none/", 404, None),
    ):
        reply = space.http.get(f"{space.url}{DSP}/catalog/datasets/{path}", headers=space.as_(consumer))
        assert (reply.status_code, reply.json().get("@id")) == (status, told)


def test_dsp_turns_away_who_is_no_member_and_says_what_it_does_not_know(
    space: Space, consumer: Provider, stranger: Provider
) -> None:
    assert ask(space, stranger).status_code == 403
    nameless = space.http.post(f"{space.url}{DSP}/catalog/request", json={})
    assert (nameless.status_code, nameless.json()["@type"]) == (401, "CatalogError")
    unknown = space.http.get(f"{space.url}{DSP}/catalog/datasets/none", headers=space.as_(consumer))
    assert (unknown.status_code, unknown.json()["@type"]) == (404, "CatalogError")
    validator("catalog-error").validate(unknown.json())
    wrong: list[Any] = [
        {"@type": "CatalogRequestMessage"},
        {"@context": [DSP_CONTEXT], "@type": "Elephant"},
        [],
        5,
    ]
    for document in wrong:
        reply = space.http.post(
            f"{space.url}{DSP}/catalog/request", json=document, headers=space.as_(consumer)
        )
        assert (reply.status_code, reply.json()["@type"]) == (400, "CatalogError")
    unsupported = ask(space, consumer, {"colour": "red"})
    assert (unsupported.status_code, unsupported.json()["@type"]) == (400, "CatalogError")


def test_dsp_pages_by_link_header_and_by_query_spec(
    space: Space, provider: Provider, consumer: Provider
) -> None:
    names = sorted(f"urn:table:{number:03}" for number in range(250))
    space.push(provider, [dataset(name) for name in names])
    seen: list[str] = []
    reply = ask(space, consumer)
    while True:
        seen += datasets_of(reply.json())
        link = re.fullmatch(r'<(.*)>; rel="next"', reply.headers.get("link", ""))
        if link is None:
            break
        reply = ask(space, consumer, url=link[1])
        assert reply.status_code == 200
    assert seen == names
    spec = {"@type": "QuerySpec", "offset": 240, "limit": 100}
    assert datasets_of(ask(space, consumer, spec).json()) == names[240:]
    criterion = {"operandLeft": EDC + "id", "operator": "=", "operandRight": names[7]}
    assert datasets_of(
        ask(space, consumer, {"@type": "QuerySpec", "filterExpression": [criterion]}).json()
    ) == [names[7]]
    several = {"operandLeft": EDC + "id", "operator": "in", "operandRight": [names[9], names[7], "urn:none"]}
    found = ask(space, consumer, {"@type": "QuerySpec", "filterExpression": [several]}).json()
    assert datasets_of(found) == [names[7], names[9]]
    both = ask(space, consumer, {"text": "x"}, {"@type": "QuerySpec", "filterExpression": [several]})
    assert both.status_code == 400, "ids together with words are refused, not passed over"
    assert datasets_of(ask(space, consumer, {"text": "table 249"}).json()) == ["urn:table:249"]
    assert ask(space, consumer, url=f"{space.url}{DSP}/catalog/request?cursor=nonsense").status_code == 400


def test_the_first_page_of_a_query_spec_names_every_participant_and_no_dataset_twice(
    space: Space, provider: Provider, consumer: Provider
) -> None:
    others = [Provider() for _ in range(3)]
    for other in others:
        space.parts.members.add(other.member("provider"))
        with serving(other.app(), other.port):
            assert space.push(other, [dataset(f"urn:other:{other.port}")]).status_code == 200
    names = sorted(f"urn:table:{number:03}" for number in range(120))
    space.push(provider, [dataset(name) for name in names])
    seen: list[str] = []
    for offset in (0, 60, 120):
        spec = {"@type": "QuerySpec", "offset": offset, "limit": 60}
        nested = ask(space, consumer, spec).json()["catalog"]
        if offset == 0:
            assert {one["participantId"] for one in nested} == {provider.did, *(one.did for one in others)}
            endpoints = {service["endpointURL"] for one in nested for service in one["service"]}
            assert endpoints == {provider.dsp, *(one.dsp for one in others)}
        seen += [each["@id"] for one in nested for each in one.get("dataset", [])]
    assert sorted(seen) == sorted([*names, *(f"urn:other:{one.port}" for one in others)])
    words = {"@type": "QuerySpec", "limit": 60, "filterExpression": [
        {"operandLeft": "text", "operator": "like", "operandRight": "%table%"}]}  # fmt: skip
    assert [one["participantId"] for one in ask(space, consumer, words).json()["catalog"]] == [provider.did]


def test_answers_are_compressed_for_who_can_read_that(
    space: Space, provider: Provider, consumer: Provider
) -> None:
    space.push(provider, [dataset(f"urn:{number}") for number in range(50)])
    headers = {**space.as_(consumer), "Accept-Encoding": "gzip"}
    message = {"@context": [DSP_CONTEXT], "@type": "CatalogRequestMessage"}
    with space.http.stream(
        "POST", f"{space.url}{DSP}/catalog/request", json=message, headers=headers
    ) as reply:
        raw = b"".join(reply.iter_raw())
    assert reply.headers["content-encoding"] == "gzip"
    assert len(datasets_of(json.loads(gzip.decompress(raw)))) == 50


# what is open to everyone


def test_the_catalogue_says_who_it_is(space: Space) -> None:
    did = space.http.get(f"{space.url}/.well-known/did.json").json()
    assert did["id"] == space.did == did_for(space.url)
    (version,) = space.http.get(f"{space.url}/.well-known/dspace-version").json()["protocolVersions"]
    assert (version["version"], version["path"]) == ("2025-1", DSP)
    assert space.http.get(f"{space.url}/healthz").status_code == 200
    assert space.http.get(f"{space.url}/readyz").json()["status"] == "ready"
    assert "hansa_catalog_answers_total" in space.http.get(f"{space.url}/metrics").text


def test_the_member_list_is_the_authoritys_and_its_serial_rises(
    space: Space, tmp_path: Path, stranger: Provider
) -> None:
    authority = load_key(tmp_path / AUTHORITY_PUBLIC, private=False)
    first = verify_members(space.http.get(f"{space.url}/members.jwt").text, authority, now())
    space.parts.members.add(stranger.member("auditor"))
    second = verify_members(space.http.get(f"{space.url}/members.jwt").text, authority, now())
    assert second.serial > first.serial
    assert stranger.did in {member.id for member in second.members}


def test_a_dataset_is_served_in_the_form_that_is_asked_for(space: Space, provider: Provider) -> None:
    space.push(provider, [flights()])
    url = f"{space.url}/datasets/{quote(FLIGHTS, safe='')}"
    forms = {}
    for accept in ("text/turtle", "application/ld+json", "application/json", "text/html"):
        reply = space.http.get(url, headers={"Accept": accept})
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith(accept)
        assert "Accept" in reply.headers["vary"]
        forms[accept] = reply
    graph = rdflib.Graph().parse(data=forms["text/turtle"].text, format="turtle")
    assert (
        rdflib.URIRef(FLIGHTS),
        rdflib.RDF.type,
        rdflib.URIRef("http://www.w3.org/ns/dcat#Dataset"),
    ) in graph
    assert forms["application/ld+json"].json()["@type"] == "dcat:Dataset"
    body = forms["application/json"].json()
    assert body["document"]["@id"] == FLIGHTS
    assert body["history"][0]["kind"] == "added"
    assert space.http.get(url, params={"format": "xml"}).status_code == 400


def test_the_whole_catalogue_is_given_out_as_dcat(space: Space, provider: Provider) -> None:
    space.push(provider, [dataset(f"urn:table:{number}") for number in range(150)])
    graph, url = rdflib.Graph(), f"{space.url}/catalog?format=turtle"
    for _ in range(2):
        reply = space.http.get(url)
        graph.parse(data=reply.text, format="turtle")
        url = reply.headers.get("link", "<>").split(">")[0].lstrip("<")
    datasets = set(graph.subjects(rdflib.RDF.type, rdflib.URIRef("http://www.w3.org/ns/dcat#Dataset")))
    assert (len(datasets), url) == (150, "")


def test_an_id_that_two_participants_use_asks_whose_is_meant(
    space: Space, provider: Provider, consumer: Provider
) -> None:
    space.parts.members.add(consumer.member("provider", "consumer"))
    space.push(provider, [dataset("asset-1", "Mine")])
    space.push(consumer, [dataset("asset-1", "Theirs")])
    assert space.http.get(f"{space.url}/datasets/asset-1").status_code == 409
    chosen = space.http.get(f"{space.url}/datasets/asset-1", headers={"Accept": "text/html"})
    assert chosen.status_code == 300
    assert ("Mine" in chosen.text, "Theirs" in chosen.text) == (True, True)
    urls = {hit["title"]: hit["url"] for hit in space.search("asset-1")["hits"]}
    assert space.http.get(urls["Theirs"]).json()["title"] == "Theirs"
    assert space.http.get(urls["Mine"]).json()["title"] == "Mine"


def test_what_cannot_be_asked_is_refused_in_words(space: Space) -> None:
    for params in ({"purpose": "WorldDomination"}, {"action": "destroy"}, {"page": "x"}, {"size": "1000"}):
        reply = space.http.get(f"{space.url}/search", params=params)
        assert reply.status_code == 400
        assert reply.json()["detail"]
        page = space.http.get(f"{space.url}/", params=params, headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert "This cannot be asked." in page.text or "size" in params


def test_a_closed_catalogue_answers_members_alone(tmp_path: Path, provider: Provider) -> None:
    with running_catalogue(tmp_path, provider.member("provider"), public_search=False) as space:
        space.push(provider, [flights()])
        assert space.http.get(f"{space.url}/search").status_code == 401
        page = space.http.get(f"{space.url}/", headers={"Accept": "text/html"})
        assert (page.status_code, "Members only" in page.text) == (401, True)
        assert space.http.get(f"{space.url}/search", headers=space.as_(provider)).json()["total"] == 1


def test_every_answer_carries_the_strict_headers(space: Space) -> None:
    for path in ("/", "/search", "/none", "/static/hansa.css"):
        headers = space.http.get(space.url + path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_disk_that_is_full_means_try_again_and_nothing_changed(
    space: Space, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import text

    space.push(provider, [dataset("urn:before")])
    database = space.parts.database
    with database.read() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()

    def limit(most: int) -> None:
        with database.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            database.engine.dispose()
        from sqlalchemy import event

        event.listen(
            database.engine, "connect", lambda opened, _: opened.execute(f"PRAGMA max_page_count={most}")
        )

    limit(pages + 6)
    many = [dataset(f"urn:{number}", **{"dct:description": "x" * 4000}) for number in range(100)]
    reply = space.push(provider, many)
    assert reply.status_code == 503
    assert reply.headers["retry-after"]
    assert "nothing was changed" in reply.json()["detail"]
    assert space.ids() == ["urn:before"]
    limit(1_000_000)
    assert space.push(provider, many).json()["accepted"] == 100


# crawling


def test_an_origin_is_crawled_page_by_page_with_our_own_token(space: Space, provider: Provider) -> None:
    provider.datasets, provider.page_size = [dataset(f"urn:{number}") for number in range(25)], 10
    state = space.crawl(provider)
    assert (state["result"], state["pages"], state["datasets"]) == ("ok", 3, 25)
    assert space.search()["total"] == 25
    assert [asked["page"] for asked in provider.asked] == [0, 1, 2]
    assert all(asked["body"]["@type"] == "CatalogRequestMessage" for asked in provider.asked)
    tokens = {asked["authorization"] for asked in provider.asked}
    assert len(tokens) == 3
    provider.datasets = provider.datasets[:5]
    assert space.crawl(provider)["withdrawn"] == 20
    assert space.search()["total"] == 5


def test_an_origin_that_fails_is_told_with_its_reason_and_its_data_stay(
    space: Space, provider: Provider
) -> None:
    provider.datasets = [dataset("urn:a")]
    space.crawl(provider)
    provider.failing = 403
    state = space.crawl(provider)
    assert "403" in state["result"]
    assert "on purpose" in state["result"]
    assert state["failures"] >= 1
    assert space.ids() == ["urn:a"]
    page = space.http.get(f"{space.url}/participants", headers={"Accept": "text/html"}).text
    assert "failed" in page
    assert "what it had is kept" in page


def test_a_next_page_elsewhere_is_not_followed(space: Space, provider: Provider, stranger: Provider) -> None:
    stranger.asked.clear()
    provider.datasets, provider.page_size = [dataset("urn:a"), dataset("urn:b")], 1
    provider.link = f"{stranger.dsp}/catalog/request"
    assert "is not at" in space.crawl(provider)["result"]
    assert stranger.asked == []


def test_only_the_operator_says_who_is_crawled(space: Space, provider: Provider) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, space.as_(provider)):
        document = {"id": provider.did, "url": provider.dsp}
        assert space.http.post(f"{space.url}/origins", json=document, headers=headers).status_code == 401
        assert space.http.get(f"{space.url}/origins", headers=headers).status_code == 401
    for document in (
        {"id": "nonsense", "url": provider.dsp},
        {"id": provider.did, "url": "file:///etc/passwd"},
        {},
    ):
        reply = space.http.post(f"{space.url}/origins", json=document, headers=space.as_operator())
        assert reply.status_code == 400
    unknown = quote("did:web:unknown.example", safe="")
    assert space.http.delete(f"{space.url}/origins/{unknown}", headers=space.as_operator()).status_code == 404


def test_an_address_that_is_not_allowed_is_not_connected_to(space: Space) -> None:
    lan = Provider(port=9)
    document = {"id": lan.did, "url": "http://10.1.2.3:8080/dsp"}
    space.http.post(f"{space.url}/origins", json=document, headers=space.as_operator())
    until(lambda: (space.origin(lan) or {}).get("result"))
    state = space.origin(lan)
    assert state is not None
    assert "egress-forbidden" in state["result"]


def test_a_removed_origin_takes_its_datasets_along(space: Space, provider: Provider) -> None:
    provider.datasets = [dataset("urn:a")]
    space.crawl(provider)
    url = f"{space.url}/origins/{quote(provider.did, safe='')}"
    assert space.http.delete(url, headers=space.as_operator()).status_code == 200
    assert space.ids() == []


# processes and the command line


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "catalog", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def start(config: Path, url: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "catalog", "serve", "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            if httpx2.get(f"{url}/readyz").status_code == 200:
                return process
        except httpx2.HTTPError:
            time.sleep(0.05)
        if process.poll() is not None:
            break
    process.kill()
    raise AssertionError(process.communicate()[1].decode())


def test_a_catalogue_is_made_served_filled_killed_and_served_again(
    tmp_path: Path, provider: Provider
) -> None:
    port = free_port()
    url, folder = f"http://localhost:{port}", tmp_path / "here"
    allowed = ("--allow", "127.0.0.0/8", "--allow", "::1/128")
    made = run("init", str(folder), "--port", str(port), "--public-url", url, "--authority", *allowed)
    assert made.returncode == 0, made.stderr
    config = folder / "catalog.toml"
    for secret in ("key.json", "operator.key", "authority.json"):
        assert (folder / secret).stat().st_mode & 0o077 == 0
    added = run("members", "add", provider.did, "--role", "provider", "--name", "P", "--config", str(config))
    assert added.returncode == 0, added.stderr
    listed = run("members", "list", "--json", "--config", str(config))
    assert json.loads(listed.stdout)["members"][0]["thumbprint"] == provider.key.thumbprint()
    assert run("members", "sign", "--config", str(config)).returncode == 0

    provider.datasets, provider.asked, provider.failing = [dataset("urn:crawled", "Crawled table")], [], None
    process = start(config, url)
    try:
        told = run("origins", "add", provider.did, provider.dsp, "--config", str(config))
        assert told.returncode == 0, told.stderr
        with httpx2.Client(timeout=30) as http:
            nobody: Any = None  # the parts are in the other process
            operator = (folder / "operator.key").read_text().strip()
            space = Space(url, did_for(url), nobody, operator, http)
            assert space.push(provider, [flights()]).json()["accepted"] == 1
            # Not before the crawl has ended: what was cut short is told as that.
            until(lambda: (space.origin(provider) or {}).get("finished"))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = start(config, url)
            assert sorted(space.ids()) == ["urn:crawled", FLIGHTS]
        states = json.loads(run("origins", "list", "--json", "--config", str(config)).stdout)
        assert states[0]["result"] == "ok"
        assert run("origins", "list", "--config", str(config)).stdout.startswith(f"{provider.did}\tok\t")
        assert run("origins", "remove", provider.did, "--config", str(config)).returncode == 0
        assert run("origins", "remove", provider.did, "--config", str(config)).returncode == 1
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) in (0, -signal.SIGTERM)
    for line in process.communicate()[1].decode().splitlines():
        assert json.loads(line)["level"] in ("info", "warning")


def test_the_command_line_says_what_is_wrong_and_exits_with_one(tmp_path: Path) -> None:
    missing = run("serve", "--config", str(tmp_path / "none.toml"))
    assert (missing.returncode, "none.toml" in missing.stderr) == (1, True)
    run("init", str(tmp_path))
    config = str(tmp_path / "catalog.toml")
    unsigned = run("members", "sign", "--config", config)
    assert (unsigned.returncode, "authority" in unsigned.stderr) == (1, True)
    (tmp_path / "key.json").chmod(0o644)
    exposed = run("serve", "--config", config)
    assert (exposed.returncode, "chmod 600" in exposed.stderr) == (1, True)
    typo = run("serve", "--config", config, HANSA_PROT="1")
    assert (typo.returncode, "HANSA_PROT" in typo.stderr) == (1, True)
    away = run(
        "origins",
        "list",
        "--config",
        config,
        HANSA_PORT=str(free_port()),
        HANSA_PUBLIC_URL="http://localhost:9",
    )
    assert (away.returncode, away.stderr.startswith("peer-unavailable")) == (1, True)


def test_origins_in_the_settings_are_crawled_from_the_start(tmp_path: Path, provider: Provider) -> None:
    provider.datasets, provider.failing, provider.page_size = [dataset("urn:set")], None, 100
    with running_catalogue(tmp_path, origins=({"id": provider.did, "url": provider.dsp},)) as space:
        until(lambda: space.search()["total"] == 1)
        assert space.ids() == ["urn:set"]


def test_an_offer_for_one_participant_is_judged_by_who_asks(
    space: Space, provider: Provider, consumer: Provider
) -> None:
    mine = offer(
        RESEARCH_ONLY,
        {"leftOperand": "hansa:participant", "operator": "isAnyOf", "rightOperand": [consumer.did]},
    )
    space.push(provider, [dataset("urn:a", hasPolicy=[mine])])
    asked = {"purpose": "ScientificResearch", "participant": consumer.did}
    assert space.search(**asked)["hits"][0]["eligibility"]["answer"] == "yours now"
    assert space.search(**{**asked, "participant": provider.did})["hits"][0]["eligibility"]["answer"] == "no"


def test_terms_and_reasons_are_told_in_the_language_of_the_reader(space: Space, provider: Provider) -> None:
    told = dataset("urn:german", hasPolicy=[offer(RESEARCH_ONLY, id="urn:offer:german")])
    assert space.push(provider, [told]).status_code == 200
    url, page = f"{space.url}/datasets/urn:german", {"Accept": "text/html"}
    english = space.http.get(url, headers=page)
    assert '<span lang="en">You may ' in english.text
    for german in (
        space.http.get(f"{url}?lang=de", headers=page),
        space.http.get(url, headers={**page, "Accept-Language": "fr, de-AT;q=0.8"}),
    ):
        assert '<span lang="de">Sie dürfen ' in german.text
        assert "kein Zweck ist angegeben, und die Nutzung ist für einen Zweck unter" in german.text
        assert german.headers["vary"].startswith("Accept, Accept-Language")
    assert space.http.get(f"{url}?lang=xx", headers=page).status_code == 200
    assert space.withdraw(provider, "urn:german").status_code == 200


def test_no_shared_cache_gives_a_member_what_was_answered_to_anybody(
    space: Space, provider: Provider
) -> None:
    space.push(provider, [flights()])
    for path in ("/search", "/", f"/datasets/{quote(FLIGHTS, safe='')}"):
        headers = space.http.get(f"{space.url}{path}").headers
        assert "Authorization" in headers["vary"].split(", "), path
        assert "cache-control" not in headers
