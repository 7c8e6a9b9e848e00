"""The quirks of peers, rule by rule, on documents as they send them."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.dcat import Catalog
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.dsp.negotiation import ContractRequestMessage
from schemas.dsp.transfer import DataAddress
from schemas.errors import Malformed
from schemas.foreign import (
    EDC_CONTEXT,
    Query,
    as_repeated,
    asks_to_resume,
    is_query_spec,
    linked,
    read_query_spec,
    time_to_save,
)
from schemas.jsonld import compact_form
from schemas.vocab import DSP_CONTEXT, EDC

INLINE = [DSP_CONTEXT, EDC_CONTEXT, {"fx": "https://w3id.org/factoryx/policy/v1.0/"}]


def spec(**members: Any) -> dict[str, Any]:
    return {"@type": "QuerySpec", "limit": 50, "offset": 0, "sortOrder": "ASC", **members}


def criterion(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"@type": "Criterion", "operandLeft": left, "operator": operator, "operandRight": right}


def asked(*criteria: dict[str, Any]) -> Query:
    return read_query_spec(spec(filterExpression=list(criteria)))


# --- query always sent -------------------------------------------------------------------------------


def test_the_query_that_edc_always_sends_asks_for_a_page_and_nothing_else() -> None:
    assert read_query_spec(spec(filterExpression=[])) == Query(0, 50)


def test_a_query_in_full_iris_and_value_objects_reads_the_same() -> None:
    full = {"@type": EDC + "QuerySpec", EDC + "offset": {"@value": 7}, EDC + "limit": 9}
    assert is_query_spec(full)
    assert read_query_spec(full) == Query(7, 9)
    assert is_query_spec({"@type": "edc:QuerySpec"})
    assert not is_query_spec({"@type": "https://evil.example/QuerySpec"})


@pytest.mark.parametrize("name", ["id", "@id", EDC + "id", "edc:id"])
def test_ids_are_asked_for_by_equals_in_and_like(name: str) -> None:
    assert asked(criterion(name, "=", "a")).ids == ("a",)
    assert asked(criterion(name, "in", ["a", "b", "a"])).ids == ("a", "b")
    assert asked(criterion(name, "like", "urn:%")).like == "urn:%"


def test_criteria_hold_together() -> None:
    both = asked(criterion("id", "in", ["a", "b"]), criterion("id", "in", ["b", "c"]))
    assert both.ids == ("b",)
    assert asked(criterion("id", "=", "a"), criterion("id", "=", "b")).ids == ()
    assert asked(criterion("text", "ilike", "%lung%"), criterion("id", "like", "u%")) == Query(
        0, 50, like="u%", text="lung"
    )


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (spec(offset="0"), "offset is '0'"),
        (spec(offset=-1), "offset is '-1'"),
        (spec(limit=True), "limit is 'True'"),
        (spec(limit=0), "limit is 0"),
        (spec(sortField="name"), "sorting by 'name'"),
        (spec(sortField="id", sortOrder="DESC"), "'DESC'"),
        (spec(filterExpression=["x"]), "criterion 'None'"),
        (spec(filterExpression=[criterion("name", "=", "x")]), "criterion 'name' '='"),
        (spec(filterExpression=[criterion("id", "contains", "x")]), "criterion 'id' 'contains'"),
        (spec(filterExpression=[criterion("id", "=", 5)]), "criterion 'id' '=' '5'"),
        (spec(filterExpression=[criterion("id", "in", [{"a": 1}])]), "criterion 'id' 'in'"),
        (spec(filterExpression=[criterion("text", "like", "%a%b%")]), "criterion 'text'"),
        (spec(filterExpression=[criterion("id", "in", ["x"] * 101)]), "101 ids"),
        (spec(filterExpression=[criterion("id", "=", "x" * 5000)]), "5000 characters"),
        (spec(filterExpression=[criterion("id", "like", "x" * 201)]), "201 characters"),
        (spec(filterExpression=[criterion("id", "like", "a%"), criterion("id", "like", "b%")]), "'b%'"),
    ],
)
def test_what_we_do_not_index_is_refused_by_name(query: dict[str, Any], says: str) -> None:
    with pytest.raises(Malformed, match="filter: ") as refused:
        read_query_spec(query)
    assert says in str(refused.value)


def test_sorting_by_id_is_how_we_sort_anyway() -> None:
    assert read_query_spec(spec(sortField=EDC + "id")) == Query(0, 50)


# --- contexts and ids --------------------------------------------------------------------------------


def test_a_query_under_an_inline_context_is_not_lost() -> None:
    document = {
        "@context": INLINE,
        "@type": "CatalogRequestMessage",
        "filter": [spec(filterExpression=[criterion(EDC + "id", "in", ["a1", "a2"])])],
    }
    (item,) = CatalogRequestMessage.read(compact_form(document)).filter
    assert is_query_spec(item)
    assert read_query_spec(item) == Query(0, 50, ids=("a1", "a2"))


def test_relative_ids_stay_as_they_are_under_an_inline_context() -> None:
    document = {
        "@context": INLINE,
        "@id": "c641083c-53cb-42b8-acc9-8f5ed0e867f5",
        "@type": "ContractRequestMessage",
        "consumerPid": "3b9b61db-21c7-4ec8-b72e-efe7852d125e",
        "callbackAddress": "http://localhost:19194/protocol/2025-1",
        "offer": {
            "@id": "o1",
            "@type": "Offer",
            "assigner": "us",
            "target": "a1",
            "permission": [
                {
                    "action": "use",
                    "constraint": [
                        {"leftOperand": "fx:purpose", "operator": "eq", "rightOperand": "x"},
                        {"leftOperand": "purpose", "operator": "eq", "rightOperand": "x"},
                    ],
                }
            ],
        },
    }
    read = ContractRequestMessage.read(compact_form(document))
    assert read.id == document["@id"]
    assert read.consumer_pid == document["consumerPid"]
    assert (read.offer.id, read.offer.target, read.offer.assigner) == ("o1", "a1", "us")
    fx, plain = read.offer.permission[0].constraint
    assert fx.left_operand == "https://w3id.org/factoryx/policy/v1.0/purpose"
    assert plain.left_operand == "purpose"


@pytest.mark.parametrize("context", [INLINE, INLINE[:2]])
def test_a_catalogue_of_edc_is_read_with_its_empty_policies_and_bare_names(context: list[Any]) -> None:
    service = {
        "@id": "a48c5e1c",
        "@type": "DataService",
        "endpointDescription": "dspace:connector",
        "endpointURL": "http://localhost:19194/protocol/2025-1",
    }
    document = {
        "@context": context,
        "@id": "fea64f0e",
        "@type": "Catalog",
        "participantId": "provider",
        "service": [service],
        "dataset": [
            {
                "@id": "a2",
                "@type": "Dataset",
                "hasPolicy": [{"@id": "Y2Qx:YTI=:NTZk", "@type": "Offer", "prohibition": []}],
                "distribution": [
                    {"@type": "Distribution", "format": "HttpData-PULL", "accessService": service}
                ],
                "edc:name": "n",
                "id": "a2",
            }
        ],
    }
    read = Catalog.read(compact_form(document))
    (dataset,) = read.dataset
    assert (read.id, read.participant_id, dataset.id) == ("fea64f0e", "provider", "a2")
    assert (dataset.has_policy[0].id, dataset.has_policy[0].permission) == ("Y2Qx:YTI=:NTZk", ())
    assert dataset.distribution[0].format == "HttpData-PULL"


# --- named by IRI ------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", EDC, "edc:"])
def test_an_address_that_states_everything_as_properties_is_understood(prefix: str) -> None:
    address = DataAddress.read(
        {
            "@type": "DataAddress",
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpointProperties": [
                {"@type": "EndpointProperty", "name": prefix + "endpoint", "value": "http://p.example/x"},
                {"@type": "EndpointProperty", "name": prefix + "authorization", "value": "token"},
            ],
        }
    )
    assert (address.where(), address.property("authorization")) == ("http://p.example/x", "token")


def test_a_stated_endpoint_comes_before_a_property() -> None:
    properties = [{"name": EDC + "endpoint", "value": "http://other.example"}]
    address = DataAddress.read(
        {"endpointType": "x", "endpoint": "http://p.example", "endpointProperties": properties}
    )
    assert address.where() == "http://p.example"


# --- links -------------------------------------------------------------------------------------------


def test_links_are_read_in_both_directions_and_prev_means_previous() -> None:
    header = '<https://p.example/c?t=1>; rel="next", <https://p.example/c?t=0>; rel="prev"'
    assert linked(header, "next") == "https://p.example/c?t=1"
    assert linked(header, "previous") == "https://p.example/c?t=0"
    assert linked('<a>; rel="previous"', "previous") == "a"


# --- said, then saved --------------------------------------------------------------------------------


def test_only_a_peer_that_names_edcs_context_is_given_time_to_save() -> None:
    assert time_to_save((DSP_CONTEXT, EDC_CONTEXT)) > 0
    assert time_to_save((DSP_CONTEXT,)) == 0


# --- resumes by asking -------------------------------------------------------------------------------


def test_only_a_peer_that_names_edcs_context_resumes_by_asking() -> None:
    assert asks_to_resume((DSP_CONTEXT, EDC_CONTEXT))
    assert not asks_to_resume((DSP_CONTEXT,))


# --- repeats in texts --------------------------------------------------------------------------------


def repeatable(right: Any, operator: str = "isAnyOf", **more: Any) -> dict[str, Any]:
    constraint = {"leftOperand": "hansa:columns", "operator": operator, "rightOperand": right}
    return {"permission": [{"action": "use", "constraint": [constraint]}], **more}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (10, "10"),
        (["number", "carrier"], '[{"@value":"number"},{"@value":"carrier"}]'),
        (["number"], "number"),
        ([1, 2], '[{"@value":1},{"@value":2}]'),
        ({"@id": "dpv:Research"}, '{"@id":"https://w3id.org/dpv#Research"}'),
        ([{"@id": "did:web:a"}, {"@id": "did:web:b"}], '[{"@id":"did:web:a"},{"@id":"did:web:b"}]'),
        ({"@value": "10", "@type": "xsd:integer"}, "10"),
        (True, "true"),
    ],
)
def test_edc_repeats_a_right_operand_as_one_text(ours: Any, theirs: str) -> None:
    assert as_repeated(repeatable(theirs)) == as_repeated(repeatable(ours))


def test_a_profile_is_not_repeated() -> None:
    assert as_repeated(repeatable("number")) == as_repeated(
        repeatable("number", profile="https://w3id.org/hansa/policy/1")
    )


@pytest.mark.parametrize(
    "asked",
    [
        repeatable('[{"@value":"number"},{"@value":"captain"}]'),
        repeatable('[{"@value":"number"}]'),
        repeatable('[{"@value":"number"},{"@value":"carrier"}]', operator="isNoneOf"),
        repeatable('[{"@value":"number"},{"@value":"carrier"}]', prohibition=[{"action": "sell"}]),
        repeatable('["number","carrier"]'),
        repeatable("[{"),
        {"permission": [{"action": "use"}]},
    ],
)
def test_whatever_says_something_else_is_no_repeat(asked: dict[str, Any]) -> None:
    assert as_repeated(asked) != as_repeated(repeatable(["number", "carrier"]))
