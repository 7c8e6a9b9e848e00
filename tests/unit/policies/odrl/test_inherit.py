"""Inheritance: what a child has from its parents, and what is refused."""

from __future__ import annotations

import pytest

from policies.odrl.inherit import resolved
from policies.odrl.model import ConflictStrategy, PolicyModel
from policies.odrl.read import read
from policies.odrl.read_constraints import Demands
from schemas.errors import Malformed, PolicyCycle, TooLarge, UnknownTerm
from schemas.vocab import ODRL

PREFIXES = f"@prefix odrl: <{ODRL}> . @prefix ex: <urn:ex:> . "


def family(*policies: str) -> dict[str, PolicyModel]:
    reading = read(PREFIXES + " ".join(policies), demands=Demands(parties=False))
    return {policy.id.removeprefix("urn:ex:"): policy for policy in reading.policies}


def merged(name: str, *policies: str, **extra: bool) -> PolicyModel:
    found = family(*policies)
    return resolved(found[name], {policy.id: policy for policy in found.values()}, **extra)


PARENT = "ex:p a odrl:Set ; odrl:assigner ex:org ; odrl:obligation [ odrl:action odrl:reviewPolicy ] ."


def test_a_child_has_the_rules_and_properties_of_its_parents_and_gives_them_its_own() -> None:
    policy = merged(
        "c",
        PARENT,
        "ex:c a odrl:Agreement ; odrl:inheritFrom ex:p ; odrl:assignee ex:user ; "
        "odrl:permission [ odrl:action odrl:display ] .",
    )
    assert policy.inherits == ()
    assert policy.permissions[0].assigner.iri == "urn:ex:org"
    assert policy.obligations[0].assignee.iri == "urn:ex:user"


def test_a_family_of_any_depth_is_merged_and_each_ancestor_once() -> None:
    line = [f"ex:n{at} a odrl:Set ; odrl:inheritFrom ex:n{at + 1}, ex:p ." for at in range(300)]
    policy = merged("n0", PARENT, *line, "ex:n300 a odrl:Set ; odrl:permission [ odrl:action odrl:use ] .")
    assert (len(policy.permissions), len(policy.obligations)) == (1, 1)


def test_a_circle_of_inheritance_is_named() -> None:
    with pytest.raises(PolicyCycle, match="urn:ex:a -> urn:ex:b -> urn:ex:a; cut one"):
        merged("a", "ex:a a odrl:Set ; odrl:inheritFrom ex:b .", "ex:b a odrl:Set ; odrl:inheritFrom ex:a .")


def test_a_parent_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownTerm, match="inherits from 'urn:ex:gone', which is not here"):
        merged("a", "ex:a a odrl:Set ; odrl:inheritFrom ex:gone .")


def test_what_is_lacking_after_the_merge_is_refused_then() -> None:
    child = "ex:a a odrl:Agreement ; odrl:inheritFrom ex:p ; odrl:permission [ odrl:target ex:t ] ."
    with pytest.raises(Malformed, match="has no action"):
        merged("a", PARENT, child)


def test_strategies_that_differ_make_the_whole_policy_void_and_one_is_inherited() -> None:
    perm = "ex:p a odrl:Set ; odrl:conflict odrl:perm ; odrl:permission [ odrl:action odrl:use ] ."
    assert merged("c", perm, "ex:c a odrl:Set ; odrl:inheritFrom ex:p .").conflict is ConflictStrategy.PERMIT
    other = "ex:c a odrl:Set ; odrl:inheritFrom ex:p ; odrl:conflict odrl:prohibit ."
    assert "different conflict strategies: perm, prohibit" in (merged("c", perm, other).void or "")


def test_what_is_inherited_is_counted_before_it_is_multiplied() -> None:
    def named(sort: str) -> str:
        return ", ".join(f"ex:{sort}{at}" for at in range(100))

    sides = (
        f"odrl:target {named('t')} ; odrl:assigner {named('s')} ; "
        f"odrl:assignee {named('a')} ; odrl:action odrl:use"
    )
    with pytest.raises(TooLarge, match="inherits more than 2,000 rules"):
        merged(
            "c",
            f"ex:c a odrl:Set ; odrl:inheritFrom ex:p ; {sides} .",
            "ex:p a odrl:Set ; odrl:permission [ odrl:constraint [ odrl:leftOperand odrl:count ; "
            "odrl:operator odrl:lt ; odrl:rightOperand 5 ] ] ; odrl:inheritFrom ex:q .",
            "ex:q a odrl:Set ; odrl:obligation [ odrl:action odrl:inform ] .",
        )
