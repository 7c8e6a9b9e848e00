"""The words themselves: canonical bytes, JSON-LD at the door, wire forms."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import LangString, best_text
from schemas.canonical import canonical
from schemas.dcat import Catalog, Dataset
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.dsp.negotiation import ContractRequestMessage
from schemas.errors import Malformed, TooLarge, UnknownContext
from schemas.jsonld import compact_form
from schemas.odrl import Constraint, Offer
from schemas.usage import UsageKind, UsageRecord
from schemas.vocab import DSP_CONTEXT, DSP_ODRL_CONTEXT, DSPACE, ODRL, compact_iri, expand_iri

keys = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
leaves = st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text(st.characters(codec="utf-8"))
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
)


@given(documents)
def test_canonical_bytes_are_those_of_rfc_8785(document: Any) -> None:
    assert canonical(document) == rfc8785.dumps(document)


@pytest.mark.parametrize("value", [1.5, 2**53, {"ä": 1}, {1: 2}, b"x", float("nan")])
def test_what_has_no_exact_form_is_refused(value: Any) -> None:
    with pytest.raises(Malformed, match="canonical form"):
        canonical(value)


def test_a_record_past_its_bound_is_refused_with_both_sizes() -> None:
    record = UsageRecord(id="1", at=0, kind=UsageKind.LOG_OPENED, log="did:web:x", reasons=("y" * 5000,))
    with pytest.raises(Malformed, match="at most 4096"):
        record.canonical()


def request(**changed: Any) -> dict[str, Any]:
    offer = {"@id": "urn:o", "@type": "Offer", "target": "urn:d", "permission": [{"action": "use"}]}
    return {
        "@context": [DSP_CONTEXT],
        "@type": "ContractRequestMessage",
        "consumerPid": "urn:c",
        "callbackAddress": "https://c.example",
        "offer": offer,
        **changed,
    }


def test_a_document_under_the_dsp_context_is_taken_as_it_stands() -> None:
    document = request()
    assert compact_form(document) is document


def test_the_same_document_in_other_json_ld_reads_the_same() -> None:
    other = {
        "@context": {"d": DSPACE, "o": ODRL},
        "@type": "d:ContractRequestMessage",
        "d:consumerPid": {"@id": "urn:c"},
        "d:callbackAddress": "https://c.example",
        "d:offer": {
            "@id": "urn:o",
            "@type": "o:Offer",
            "o:target": {"@id": "urn:d"},
            "o:permission": {"o:action": {"@id": "o:use"}},
        },
    }
    assert ContractRequestMessage.read(compact_form(other)) == ContractRequestMessage.read(request())


@pytest.mark.parametrize(
    "context",
    [
        "https://evil.example/context.jsonld",
        [DSP_CONTEXT, "http://169.254.169.254/latest"],
        {"@import": "file:///etc/passwd"},
        {"x": {"@id": "urn:x", "@context": "https://evil.example/nested"}},
    ],
)
def test_an_unknown_context_is_refused_by_name_and_never_fetched(context: Any) -> None:
    with pytest.raises(UnknownContext, match=r"evil|169\.254|passwd"):
        compact_form({**request(), "@context": context})


def test_no_document_changes_how_later_ones_are_read() -> None:
    later = {**request(), "@context": [DSP_CONTEXT, {"ex": "https://example.org/"}]}
    for known in (DSP_CONTEXT, DSP_ODRL_CONTEXT):
        for scoped in (False, True):
            context = {"@import": known, "permission": "urn:nothing", "prohibition": "urn:nothing"}
            hostile = {"Offer": {"@id": "odrl:Offer", "@context": context}} if scoped else context
            with pytest.raises(UnknownContext, match=f"imports '{known}'"):
                compact_form({**request(), "@context": [hostile]})
            assert ContractRequestMessage.read(compact_form(later)) == ContractRequestMessage.read(request())


def test_what_the_library_stumbles_over_is_refused_like_any_other_bad_document() -> None:
    nested: dict[str, Any] = {}
    for _ in range(400):
        nested = {"x": {"@id": "urn:x", "@context": nested}}
    bad: list[dict[str, Any]] = [{"@vocab": None}, {"@context": 5}, {"offer": {"@container": [[]]}}, nested]
    for context in bad:
        with pytest.raises(Malformed, match="not JSON-LD that we can read"):
            compact_form({**request(), "@context": [DSP_CONTEXT, context]})


def test_a_document_without_a_context_or_of_another_type_is_refused() -> None:
    with pytest.raises(Malformed, match="@context"):
        compact_form({"@type": "Catalog"})
    with pytest.raises(Malformed, match=r"ContractRequestMessage.*Catalog"):
        ContractRequestMessage.read({**request(), "@type": "Catalog"})
    with pytest.raises(Malformed, match="exactly one"):
        ContractRequestMessage.read(request(providerPid="urn:p"))


def test_absent_members_and_empty_arrays_are_not_written() -> None:
    wired = Catalog(id="urn:c").wire()
    assert wired == {"@context": [DSP_CONTEXT], "@type": "Catalog", "@id": "urn:c"}


def test_a_policy_keeps_what_it_does_not_know_so_that_it_can_be_refused() -> None:
    offer = Offer.read({"@id": "o", "permission": [{"action": "use", "refinement": {"x": 1}}]})
    assert offer.permission[0].model_extra == {"refinement": {"x": 1}}


@pytest.mark.parametrize(
    "constraint",
    [
        {},
        {"leftOperand": "a"},
        {"leftOperand": "a", "operator": "eq", "rightOperand": "1", "and": []},
        {"and": [{"leftOperand": "a", "operator": "eq", "rightOperand": "1"}], "leftOperand": "a"},
    ],
)
def test_a_constraint_is_one_comparison_or_one_combination(constraint: dict[str, Any]) -> None:
    if constraint.get("and") == []:
        assert Constraint.read(constraint).left_operand == "a"
        return
    with pytest.raises(Malformed, match="constraint"):
        Constraint.read(constraint)


def test_texts_keep_their_languages_and_readers_get_theirs() -> None:
    titles = [{"@value": "Flüge", "@language": "de"}, "Flights"]
    dataset = Dataset.read({"@id": "urn:d", "dct:title": titles})
    assert dataset.wire()["dct:title"] == titles
    assert best_text(dataset.title, ("de",)) == "Flüge"
    assert best_text(dataset.title, ("fr",)) == "Flights"
    assert best_text((LangString(value="x", language="it"),)) == "x"


def test_iris_shorten_and_expand() -> None:
    assert compact_iri(ODRL + "use") == "odrl:use"
    assert expand_iri("odrl:use") == ODRL + "use"
    assert expand_iri("use", ODRL) == ODRL + "use"
    assert expand_iri("https://x.example/a") == "https://x.example/a"


def test_a_deep_document_is_refused_before_it_is_walked() -> None:
    from schemas.binding.server import parse_json

    with pytest.raises((TooLarge, Malformed)):
        parse_json(b"[" * 5000 + b"]" * 5000)
    with pytest.raises(TooLarge, match="64 levels"):
        parse_json(b"[" * 100 + b"]" * 100)


def test_a_catalogue_request_without_a_filter_has_none_on_the_wire() -> None:
    # EDC refuses an empty one as a bad request.
    assert "filter" not in CatalogRequestMessage(id="urn:uuid:1").wire()
