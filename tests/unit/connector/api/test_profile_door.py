"""Anybody can read what the terms of our policies mean, in the form that it asks for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rdflib
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI

from connector.api.profile import profile_router
from policies.vocabulary import profile_context, triples
from schemas.binding.client import Egress, Http
from tests.world import Wire

URL = "http://localhost:8133/policy/1"


@pytest.fixture
def http(portal: BlockingPortal) -> Iterator[Http]:
    wire, app = Wire(portal), FastAPI()
    app.include_router(profile_router())
    wire.apps["localhost:8133"] = app
    http = Http(Egress(), transport=wire)
    yield http
    http.close()


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/turtle", "text/turtle"),
        ("application/ld+json", "application/ld+json"),
        ("text/html;q=0.5, text/turtle", "text/turtle"),
        ("text/turtle;q=0, application/ld+json;q=0.1", "application/ld+json"),
        ("text/turtle;q=high, image/png", "text/html"),
    ],
)
def test_the_profile_comes_in_the_form_that_is_asked_for(http: Http, accept: str, media: str) -> None:
    reply = http.get(URL, {"Accept": accept})
    assert reply.status == 200
    assert reply.headers["content-type"].split(";")[0] == media


@pytest.mark.parametrize("media", ["text/turtle", "application/ld+json"])
def test_what_is_served_is_rdf_with_every_statement(http: Http, media: str) -> None:
    body = http.get(URL, {"Accept": media}).body
    form = "turtle" if "turtle" in media else "json-ld"
    assert len(rdflib.Graph().parse(data=body, format=form)) == len(set(triples()))


def test_the_context_is_served_beside_it(http: Http) -> None:
    reply = http.get(URL + "/context.jsonld")
    assert reply.json() == profile_context()
