"""Policies in the wild: each is read, or refused with a reason that names the place and what to do.

Whether a file is JSON at all is asked of the JSON parser, not of us; of Turtle, of an RDF parser.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyoxigraph
import pytest

from policies.odrl.evaluate import decide, prepare
from policies.odrl.logic import Verdict
from policies.odrl.model import PolicyKind
from policies.odrl.read import read
from policies.odrl.read_constraints import LENIENT
from policies.odrl.world import Request
from schemas.errors import DataspaceError
from tests.shared_data import SHARED

pytestmark = pytest.mark.interop

ROOT = SHARED / "odrl"
FOLDERS = ("ids-policy-classes", "odrl-lib-policies", "odrl-pap-examples", "oval-usage-log/validation")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.json*"))
TURTLE = sorted(
    path for folder in ("odrl-sa", "conflict-benchmark") for path in (ROOT / folder).rglob("*.ttl")
)
PLACED = re.compile(r"(permission|prohibition|obligation|policy|rule|document|context)")
FIXED = re.compile(r"(; write|; known|; ask|; cut|; give|; end|not JSON|not Turtle|; nest)")

if not FILES:
    pytest.skip(f"shared data is absent: {ROOT} holds no policies", allow_module_level=True)


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def is_turtle(path: Path) -> bool:
    try:
        list(pyoxigraph.parse(path.read_bytes(), format=pyoxigraph.RdfFormat.TURTLE))
    except SyntaxError:
        return False
    return True


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_json_in_the_wild_is_read_or_refused_by_place_and_fix(path: Path) -> None:
    try:
        reading = read(path.read_bytes(), "application/ld+json", LENIENT)
    except DataspaceError as refused:
        text = str(refused)
        assert PLACED.search(text), text
        assert FIXED.search(text), text
        assert ("not JSON:" in text) == (not is_json(path)), text
    else:
        assert is_json(path)
        assert reading.policies


@pytest.mark.parametrize("path", TURTLE, ids=named)
def test_turtle_in_the_wild_is_read_or_refused_by_place_and_fix(path: Path) -> None:
    try:
        reading = read(path.read_bytes(), "text/turtle", LENIENT)
    except DataspaceError as refused:
        text = str(refused)
        assert PLACED.search(text), text
        assert FIXED.search(text), text
        assert ("not Turtle" in text) == (not is_turtle(path)), text
    else:
        assert is_turtle(path)
        assert reading.policies


@pytest.mark.parametrize("path", [*FILES, *TURTLE], ids=named)
def test_nobody_who_asks_for_nothing_is_permitted_by_a_policy_in_the_wild(path: Path) -> None:
    """Only a permission of anything passes a request that says neither who nor what."""
    try:
        policies = read(path.read_bytes(), None, LENIENT).policies
    except DataspaceError:
        return  # the tests above look at refusals
    for policy in policies:
        verdict = decide(prepare(policy), Request())
        bare = [rule for rule in policy.permissions if rule.action.iri is None]
        assert verdict is not Verdict.PERMIT or bare
        if policy.kind is PolicyKind.OFFER:
            assert verdict is not Verdict.PERMIT
