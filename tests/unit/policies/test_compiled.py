from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from policies.compiled import compile_policy
from policies.fitting import fit_to_columns
from policies.operands import column_operand
from schemas.dcat import Column
from schemas.errors import PolicyMismatch, Refused, TooLarge, UnknownTerm
from schemas.odrl import Agreement, Offer
from schemas.vocab import DPV, HANSA, HANSA_PROFILE, ODRL
from tests.policy_builders import allowing, compiled, limit, offer, rule
from tests.shared_data import shared_data

COLUMNS = [
    Column(name="age", datatype="int64"),
    Column(name="sex", datatype="dictionary<values=string, indices=int32, ordered=0>"),
    Column(name="alive", datatype="bool"),
    Column(name="seen", datatype="timestamp[us, tz=UTC]"),
    Column(name="tags", datatype="list<item: string>"),
]


def refusal(*permissions: dict[str, Any], **members: Any) -> str:
    with pytest.raises(Refused) as caught:
        compiled(*permissions, **members)
    return str(caught.value)


def test_an_unknown_operand_is_refused_by_name_and_place_with_the_known_ones() -> None:
    message = refusal(
        rule("use", limit("purpose", "isA", "dpv:Purpose"), limit("http://dx/moonPhase", "eq", "full"))
    )
    assert message.startswith("cannot enforce 'http://dx/moonPhase' in permission[0].constraint[1]; known: ")
    assert "odrl:purpose" in message
    assert "hansa:column/<column>" in message


def test_an_unknown_operand_deep_in_a_combination_is_named_with_its_place() -> None:
    inner = {"or": [limit("purpose", "isA", "dpv:Purpose"), {"and": [limit("odrl:payAmount", "lteq", "5")]}]}
    assert "cannot enforce 'odrl:payAmount' in permission[1].constraint[0].or[1].and[0]" in refusal(
        rule("use"), rule("use", inner)
    )


def test_an_operator_that_the_operand_does_not_take_is_refused() -> None:
    message = refusal(rule("use", limit("purpose", "isPartOf", "dpv:Purpose")))
    assert "operator 'isPartOf' of odrl:purpose in permission[0].constraint[0]; known: isA" in message


@pytest.mark.parametrize("action", ["odrl:play", "train", "hansa:trian", "delete", "http://example.com/use"])
def test_an_action_that_cannot_be_permitted_is_refused_by_name(action: str) -> None:
    message = refusal(rule(action))
    assert f"cannot enforce action '{action}' in permission[0]; known in a permission: odrl:use" in message


def test_a_promise_can_be_prohibited_but_not_permitted() -> None:
    assert "known in a permission" in refusal(rule("odrl:sell"))
    policy = compiled(rule("use"), prohibition=[rule("odrl:sell")])
    assert policy.prohibitions[0].is_promise


@pytest.mark.parametrize("member", ["duty", "refinement", "remedy", "odrl:duty", "dct:title"])
def test_a_member_of_a_rule_that_we_do_not_know_is_refused_by_name(member: str) -> None:
    assert f"'{member}' in permission[0]" in refusal(rule("use", **{member: [{"action": "x"}]}))


@pytest.mark.parametrize("member", ["unit", "dataType", "status", "rightOperandReference", "odrl:unit"])
def test_a_member_of_a_constraint_that_we_do_not_know_is_refused_by_name(member: str) -> None:
    constraint = limit("purpose", "isA", "dpv:Purpose") | {member: "x"}
    assert f"cannot enforce '{member}' in permission[0].constraint[0]" in refusal(rule("use", constraint))


@pytest.mark.parametrize("member", ["conflict", "inheritFrom", "odrl:conflict", "action"])
def test_a_member_of_a_policy_that_we_do_not_know_is_refused_by_name(member: str) -> None:
    assert f"cannot enforce '{member}' in policy" in refusal(rule("use"), **{member: "perm"})


def test_an_unknown_profile_is_refused_by_name() -> None:
    assert "cannot enforce profile 'https://test.com/profile'" in refusal(
        rule("use"), profile="https://test.com/profile"
    )
    assert compiled(rule("use"), profile=[HANSA_PROFILE]).permissions


def test_a_rule_may_repeat_what_the_policy_says_of_its_parties_but_not_contradict_it() -> None:
    members = {"assigner": "did:web:a.example", "target": "urn:data"}
    assert compiled(rule("use", **members), **members).permissions
    assert "'target' in permission[0]" in refusal(rule("use", target="urn:other"), **members)
    assert "'assignee' in permission[0]" in refusal(rule("use", assignee="did:web:b.example"), **members)


def test_a_rule_of_another_type_is_refused() -> None:
    assert compiled(rule("use", **{"@type": "odrl:Permission", "@id": "urn:rule"})).permissions
    assert "type 'Prohibition' in permission[0]" in refusal(rule("use", **{"@type": "Prohibition"}))


def test_and_sequence_is_refused_by_name() -> None:
    parts = [limit("dateTime", "lt", "2026-12-01")]
    assert "cannot enforce 'andSequence' in permission[0].constraint[0]" in refusal(
        rule("use", {"andSequence": parts})
    )


@pytest.mark.parametrize("form", ["or", "xone"])
@pytest.mark.parametrize(
    "constraint",
    [
        limit("column/age", "gteq", "18"),
        limit("columns", "isAnyOf", ["age"]),
        limit("mask/age", "eq", "hash"),
        limit("rowCount", "lteq", "5"),
    ],
    ids=lambda constraint: constraint["leftOperand"].rpartition("#")[2],
)
def test_a_limit_on_the_data_stands_only_where_it_always_holds(form: str, constraint: dict[str, Any]) -> None:
    message = refusal(rule("use", {form: [constraint, limit("purpose", "isA", "dpv:Purpose")]}))
    assert f"cannot enforce '{constraint['leftOperand']}' in permission[0].constraint[0].{form}[0]" in message
    prohibited = [rule("use", constraint)]
    if constraint["leftOperand"].endswith("column/age"):
        assert len(compiled(rule("use"), prohibition=prohibited).prohibitions[0].filters) == 1
    else:
        with pytest.raises(UnknownTerm, match=r"prohibition\[0\].constraint\[0\]"):
            compiled(rule("use"), prohibition=prohibited)
    nested = allowing({"and": [{"and": [constraint]}, limit("purpose", "isA", "dpv:Purpose")]})
    assert len(nested.permissions[0].limits) == 1
    assert len(nested.permissions[0].conditions) == 1


def test_a_policy_without_rules_is_refused_and_one_with_prohibitions_only_is_not() -> None:
    assert "neither permission nor prohibition" in refusal()
    assert compiled(prohibition=[rule("use")]).permissions == ()


def test_every_spelling_of_a_term_compiles_to_the_same_rule() -> None:
    for operand in ("purpose", "odrl:purpose", ODRL + "purpose"):
        for operator in ("isA", "odrl:isA", ODRL + "isA"):
            for purpose in (
                "dpv:Marketing",
                DPV + "Marketing",
                {"@id": DPV + "Marketing"},
                {"@value": "Marketing"},
            ):
                policy = allowing(limit(operand, operator, purpose))
                assert (
                    policy.permissions[0].conditions
                    == allowing(limit("purpose", "isA", DPV + "Marketing")).permissions[0].conditions
                )


@pytest.mark.parametrize(
    ("constraint", "says"),
    [
        (limit("dateTime", "lt", "soon"), "'soon' is not a time; write one like 2026-12-01T00:00:00Z"),
        (limit("dateTime", "lt", ["2026-01-01", "2027-01-01"]), "2 values where one is meant"),
        (limit("dateTime", "gt", "9999-12-31"), "nothing comes after 9999-12-31"),
        (limit("purpose", "isA", "Research"), "'Research' is not a purpose of DPV 2.3"),
        (limit("purpose", "isAnyOf", []), "no value; write at least one"),
        (limit("participant", "eq", "the lab"), "'the lab' is no participant id; write one like did:web:"),
        (limit("columns", "isAnyOf", [7]), "7 is not text"),
        (limit("mask/age", "eq", "blur"), "no mask is called 'blur'; write 'hash', 'null', 'redact'"),
        (limit("rowCount", "lteq", "0"), "'0' is not a count; write a whole number from 1"),
        (limit("rowCount", "lteq", "many"), "'many' is not a count"),
        (limit("column/age", "lt", {"@value": "x", "@type": "xsd:integer"}), "is not a value of type"),
        (limit("column/age", "eq", {"a": "b"}), "is not a plain value"),
    ],
)
def test_a_value_that_an_operand_cannot_take_is_refused_with_its_place(constraint: Any, says: str) -> None:
    message = refusal(rule("use", constraint))
    assert message.startswith("permission[0].constraint[0] (")
    assert says in message


def test_column_lists_without_a_common_column_are_refused() -> None:
    lists = (limit("columns", "isAnyOf", ["a"]), limit("columns", "isAnyOf", ["b"]))
    assert "no column in common" in refusal(rule("use", *lists))


def test_a_mask_over_a_hidden_column_is_refused() -> None:
    message = refusal(rule("use", limit("columns", "isAnyOf", ["a"]), limit("mask/id", "eq", "hash")))
    assert "masks column 'id', which the column list of permission[0] hides; add it to the list" in message


def test_an_obligation_takes_a_date_by_which_and_nothing_else() -> None:
    policy = compiled(rule("use"), obligation=[rule("delete", limit("dateTime", "lteq", "2027-01-01"))])
    assert policy.duties[0].place == "obligation[0]"
    for constraint in (limit("dateTime", "gt", "2027-01-01"), limit("purpose", "isA", "dpv:Purpose")):
        assert "obligation[0].constraint[0]" in refusal(rule("use"), obligation=[rule("delete", constraint)])
    assert "action 'odrl:compensate' in obligation[0]" in refusal(
        rule("use"), obligation=[rule("odrl:compensate")]
    )


def test_a_policy_with_very_many_constraints_compiles_and_one_beyond_the_bound_is_refused() -> None:
    many = [limit("dateTime", "lt", f"2026-12-01T00:00:{second:02}Z") for second in range(60)] * 13
    assert len(allowing(*many).permissions[0].conditions) == 780
    with pytest.raises(TooLarge, match="more than 2,000"):
        allowing(*many, *many, *many)


def test_a_policy_nested_too_deeply_is_refused() -> None:
    constraint = limit("dateTime", "lt", "2026-12-01")
    for _ in range(9):
        constraint = {"or": [constraint]}
    with pytest.raises(TooLarge, match="deeper than 8"):
        allowing(constraint)


def test_a_policy_knows_every_column_that_it_names() -> None:
    policy = compiled(
        rule("use", limit("column/age", "gt", 5), limit("mask/a%20b%2Fc", "eq", "null")),
        rule("hansa:train", limit("columns", "isAnyOf", ["sex", "age"])),
    )
    assert policy.columns_named() == ("a b/c", "age", "sex")


@pytest.mark.parametrize(
    "constraint",
    [
        limit("column/weight", "gt", "5"),
        limit("columns", "isAnyOf", ["age", "weight"]),
        limit("mask/weight", "eq", "hash"),
        limit("column/weight", "isNoneOf", ["5"]),
    ],
    ids=lambda constraint: constraint["leftOperand"].rpartition("#")[2] + constraint["operator"],
)
def test_a_column_that_the_data_lack_is_named_beside_those_that_exist(constraint: dict[str, Any]) -> None:
    with pytest.raises(
        PolicyMismatch, match=r"\[0\].* names column 'weight', which the data lack; columns: 'age', 'sex'"
    ):
        fit_to_columns(allowing(constraint), COLUMNS)


def test_column_names_are_compared_exactly() -> None:
    with pytest.raises(PolicyMismatch, match="'Age', which the data lack"):
        fit_to_columns(allowing(limit("column/Age", "gt", "5")), COLUMNS)


def test_a_column_that_the_data_hold_twice_cannot_be_named() -> None:
    with pytest.raises(PolicyMismatch, match="'age', which the data hold twice"):
        fit_to_columns(allowing(limit("column/age", "gt", "5")), [*COLUMNS, COLUMNS[0]])


@pytest.mark.parametrize(
    ("constraint", "says"),
    [
        (limit("column/age", "gt", "old"), '"old"'),
        (limit("column/age", "isAnyOf", ["1", "2; DROP TABLE x"]), "DROP TABLE"),
        (limit("column/sex", "eq", {"@value": "1", "@type": "xsd:integer"}), "a column of type string"),
        (limit("column/alive", "lt", "true"), "'lt' has no meaning for the truth values of 'alive'"),
        (limit("column/seen", "gt", "2026-12-01"), "a dateTime like"),
        (limit("column/tags", "eq", "x"), "type list<item: string> cannot be compared"),
    ],
    ids=["text", "hostile", "number", "truth", "date", "list"],
)
def test_a_value_that_does_not_fit_its_column_is_refused_at_publish(constraint: Any, says: str) -> None:
    with pytest.raises(PolicyMismatch) as caught:
        fit_to_columns(allowing(constraint), COLUMNS)
    assert str(caught.value).startswith("permission[0].constraint[0]")
    assert says in str(caught.value)


def test_a_policy_that_fits_its_columns_passes() -> None:
    policy = allowing(
        limit("column/age", "gteq", "18"),
        limit("column/sex", "isAnyOf", ["F", "M"]),
        limit("column/alive", "eq", "true"),
        limit("column/seen", "lt", {"@value": "2026-12-01T00:00:00Z", "@type": "xsd:dateTime"}),
        limit("columns", "isAnyOf", ["age", "sex", "tags"]),
        limit("mask/tags", "eq", "null"),
    )
    fit_to_columns(policy, COLUMNS)


def test_hostile_text_stays_a_value() -> None:
    name = 'a"; DROP TABLE people; --'
    policy = allowing({"leftOperand": column_operand(name), "operator": "eq", "rightOperand": "' OR 1=1 --"})
    (found,) = policy.permissions[0].limits
    assert policy.columns_named() == (name,)
    assert getattr(found, "values") == ("' OR 1=1 --",)  # noqa: B009


def _policies(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [policy for item in value for policy in _policies(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if {"permission", "prohibition", "obligation"} & set(value) else []
    return own + [policy for item in value.values() for policy in _policies(item)]


@pytest.mark.parametrize(
    "folder",
    [
        ("dsp", "artifacts"),
        ("odrl", "ids-policy-classes"),
        ("odrl", "odrl-pap-examples"),
        ("odrl", "odrl-lib-policies"),
    ],
    ids="/".join,
)
def test_every_published_example_compiles_or_is_refused_by_name(folder: tuple[str, ...]) -> None:
    seen = 0
    for path in sorted(shared_data(*folder).rglob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        for found in _policies(document):
            seen += 1
            model = Agreement if found.get("@type") == "Agreement" else Offer
            with contextlib.suppress(Refused):  # anything else is a crash, and fails the test
                compile_policy(model.read({"@id": "urn:policy", **found}))
    assert seen, "the folder holds no policy at all"


def test_the_full_agreement_of_the_protocol_is_refused_for_its_profile_and_then_for_its_operand() -> None:
    names = (
        "artifacts",
        "src",
        "main",
        "resources",
        "negotiation",
        "example",
        "contract-agreement-message-full.json",
    )
    document = json.loads(shared_data("dsp", *names).read_text(encoding="utf-8"))["agreement"]
    with pytest.raises(UnknownTerm, match=r"profile 'https://test.com/profile'"):
        compile_policy(Agreement.read(document))
    del document["profile"]
    with pytest.raises(UnknownTerm, match=r"'partner' in permission\[1\].constraint\[0\].and\[0\]"):
        compile_policy(Agreement.read(document))
    document["permission"] = document["permission"][:1]
    assert compile_policy(Agreement.read(document)).assignee == "http://example.com/Consumer"


def test_an_offer_made_by_hand_with_absolute_terms_compiles() -> None:
    assert compile_policy(
        offer(rule(HANSA + "train", limit("columns", "isAnyOf", "age")))
    ).columns_named() == ("age",)
