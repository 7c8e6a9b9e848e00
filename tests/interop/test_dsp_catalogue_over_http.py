"""The catalogue over real HTTP: filters, pages and their links, tokens, compression."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import pytest

from schemas.foreign import linked
from tests.dsp_schemas import judged, official
from tests.served import CONTEXT, Place, RawPeer, say, served

pytestmark = pytest.mark.interop

EDC = "https://w3id.org/edc/v0.0.1/ns/"
EDC_CONTEXTS = [*CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"]
MANY = 320
IDS = [f"urn:many:{number:04d}" for number in range(MANY)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A connector with several hundred datasets."""
    with served(tmp_path_factory.mktemp("catalogue"), "reader") as made:
        open_offer = {"@id": "open", "permission": [{"action": "use"}]}
        made.publish(*IDS[::2], offer=open_offer, title="Trains of a day")
        made.publish(*IDS[1::2], offer=open_offer, title="Taxis of a day")
        yield made


@pytest.fixture
def reader(place: Place) -> RawPeer:
    return place.peers[0]


def ask(
    reader: RawPeer, *filters: Any, url: str = "/catalog/request", context: Sequence[Any] = CONTEXT
) -> httpx2.Response:
    wanted = {"filter": list(filters)} if filters else {}
    return reader.post(url, {**say("CatalogRequestMessage", **wanted), "@context": context})


def ids(reply: httpx2.Response) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [dataset["@id"] for dataset in reply.json().get("dataset", [])]


def refused(reply: httpx2.Response) -> str:
    assert reply.status_code == 400, reply.text
    document = reply.json()
    assert (document["@type"], document["@context"]) == ("CatalogError", CONTEXT)
    assert document["code"] == "malformed"
    return str(document["reason"][0])


def link(reply: httpx2.Response, rel: str) -> str | None:
    return linked(reply.headers.get("link", ""), rel)


def spec(**members: Any) -> dict[str, Any]:
    return {
        "@type": "QuerySpec",
        "limit": 50,
        "offset": 0,
        "sortOrder": "ASC",
        "filterExpression": [],
        **members,
    }


def criterion(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"@type": "Criterion", "operandLeft": left, "operator": operator, "operandRight": right}


# --- pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filters", [(), (spec(limit=33),)])
def test_the_links_lead_through_everything_once_and_back_again(
    reader: RawPeer, filters: tuple[Any, ...]
) -> None:
    reply = ask(reader, *filters)
    assert link(reply, "previous") is None
    pages = [ids(reply)]
    while following := link(reply, "next"):
        assert following.startswith(reader.place.dsp)
        reply = ask(reader, url=following)
        pages.append(ids(reply))
    assert [one for page in pages for one in page] == IDS
    assert all(pages)
    back = [pages[-1]]
    while before := link(reply, "previous"):
        reply = ask(reader, url=before)
        back.append(ids(reply))
    assert back[::-1] == pages


def test_edcs_crawler_pages_by_offset_and_comes_to_an_end(reader: RawPeer) -> None:
    seen: list[str] = []
    for turn in range(MANY):
        query = spec(offset=turn * 100, limit=100)
        page = ids(ask(reader, query, context=EDC_CONTEXTS))
        seen += page
        if len(page) < 100:
            break
    assert seen == IDS
    assert ids(ask(reader, spec(offset=MANY, limit=100))) == []


def test_a_filter_stays_on_every_page(reader: RawPeer) -> None:
    reply, seen = ask(reader, {"text": "taxis"}, spec(limit=60)), []
    while True:
        seen += ids(reply)
        following = link(reply, "next")
        if following is None:
            break
        reply = ask(reader, url=following)
    assert seen == IDS[1::2]


def token(*members: Any) -> str:
    return quote(base64.urlsafe_b64encode(json.dumps(members).encode()).decode())


@pytest.mark.parametrize(
    "hostile",
    [
        "x",
        "%00",
        "e30",
        "bnVsbA",
        "W10",
        "A" * 3000,
        "%F0%9F%92%A9",
        base64.urlsafe_b64encode(b"[" * 2000).decode(),
        token(-1, 5, None, None, None),
        token(0, 0, None, None, None),
        token(0, True, None, None, None),
        token(10**12, 5, None, None, None),
        token("0", 5, None, None, None),
        token(0, 5, {"a": 1}, None, None),
        token(0, 5, "x" * 500, None, None),
        token(0, 5, None, "urn:many:0000", None),
        token(0, 5, None, [1], None),
        token(0, 5, None, ["x"] * 1000, None),
        token(0, 5, None, None, ["%"]),
        token(0, 5, None, None, None, None),
    ],
)
def test_a_token_that_is_not_ours_is_refused(reader: RawPeer, hostile: str) -> None:
    assert refused(ask(reader, url=f"/catalog/request?continuation={hostile}"))


def test_a_forged_token_gets_no_more_than_a_page(reader: RawPeer) -> None:
    page = ids(ask(reader, url=f"/catalog/request?continuation={token(0, 2**31, None, None, None)}"))
    assert 100 <= len(page) < MANY


# --- filters -----------------------------------------------------------------------------------------


def test_the_criteria_on_ids_and_words_that_we_index_are_answered(reader: RawPeer) -> None:
    one, two = IDS[7], IDS[300]

    def found(*criteria: dict[str, Any]) -> list[str]:
        return ids(ask(reader, spec(filterExpression=list(criteria)), context=EDC_CONTEXTS))

    assert found(criterion(EDC + "id", "=", one)) == [one]
    assert found(criterion("id", "in", [two, one, "urn:nowhere"])) == [one, two]
    assert found(criterion("id", "like", "%:000_")) == IDS[:10]
    assert found(criterion("id", "like", "urn:MANY%")) == []
    assert found(criterion("text", "ilike", "%TAXIS%"), criterion("id", "like", "%:001_")) == IDS[11:20:2]
    assert found(criterion("id", "=", one), criterion("id", "=", two)) == []


def test_a_query_under_an_inline_context_of_an_extension_is_not_lost(reader: RawPeer) -> None:
    inline = [*EDC_CONTEXTS, {"fx": "https://w3id.org/factoryx/policy/v1.0/"}]
    query = spec(limit=2, filterExpression=[criterion(EDC + "id", "in", IDS[3:6])])
    assert ids(ask(reader, query, context=inline)) == IDS[3:5]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("words", "'words' is not supported"),
        ({"colour": "red"}, "['colour'] is not supported"),
        ({"text": ["x"]}, "text is a list"),
        ((spec(), spec()), "2 QuerySpecs"),
        (spec(offset=-1), "offset is '-1'"),
        (spec(limit=0), "limit is 0"),
        (spec(sortField="title"), "sorting by 'title'"),
        (spec(filterExpression=[criterion("name", "=", "x")]), "criterion 'name' '='"),
        (spec(filterExpression=[criterion("id", "contains", "x")]), "criterion 'id' 'contains'"),
    ],
)
def test_a_filter_that_is_not_supported_is_a_400_that_names_it(
    reader: RawPeer, wanted: Any, says: str
) -> None:
    filters = wanted if isinstance(wanted, tuple) else (wanted,)
    assert says in refused(ask(reader, *filters))


# --- compression, datasets ---------------------------------------------------------------------------


def over_the_wire(reader: RawPeer, accept: str | None) -> tuple[http.client.HTTPResponse, bytes]:
    """Ask as the plainest client does, so that nothing is unpacked on the way."""
    parts = urlsplit(reader.place.dsp)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    headers = {"Authorization": reader.token(), "Content-Type": "application/json"}
    if accept is not None:
        headers["Accept-Encoding"] = accept
    connection.putrequest("POST", parts.path + "/catalog/request", skip_accept_encoding=True)
    body = json.dumps(say("CatalogRequestMessage")).encode()
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def test_a_long_catalogue_is_zipped_for_who_takes_it_and_plain_for_who_does_not(reader: RawPeer) -> None:
    plain, content = over_the_wire(reader, None)
    assert plain.getheader("content-encoding") is None
    refused_, same = over_the_wire(reader, "gzip;q=0, identity")
    assert (refused_.getheader("content-encoding"), same) == (None, content)
    zipped, packed = over_the_wire(reader, "deflate, gzip")
    assert zipped.getheader("content-encoding") == "gzip"
    assert zipped.getheader("vary") == "Accept-Encoding"
    assert gzip.decompress(packed) == content
    assert len(packed) * 5 < len(content)


def test_a_dataset_is_told_with_its_context_and_an_unknown_one_is_a_typed_404(reader: RawPeer) -> None:
    for end in ("", "/"):
        known = reader.get(f"/catalog/datasets/{quote(IDS[0], safe='')}{end}")
        assert (known.status_code, known.json()["@id"], known.json()["@context"]) == (200, IDS[0], CONTEXT)
        unknown = reader.get(f"/catalog/datasets/urn%3Anowhere{end}")
        assert (unknown.status_code, unknown.json()["@type"]) == (404, "CatalogError")
        assert (unknown.json()["code"], len(unknown.json()["reason"])) == ("not-found", 1)


def test_every_body_is_valid_by_the_official_schemas(place: Place, reader: RawPeer) -> None:
    official()
    assert ids(ask(reader))
    wrong = {str(document)[:80]: judged(document) for document in place.said if judged(document)}
    assert wrong == {}
