"""Whose push ran over its lease, and was taken over, takes nothing from who is at it now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connector.transfer.lease import PUSH_LEASE
from connector.transfer.ports import Transfer
from connector.transfer.pushing import PushedTransfers
from schemas.dsp.transfer import TransferState
from schemas.errors import PeerUnavailable
from schemas.vocab import FORMAT_HTTP_PUSH
from tests.store_builders import NOW, transfer
from tests.world import Party, World


def process(party: Party, name: str) -> PushedTransfers:
    """The transfers of a party as one of its processes has them."""
    made = PushedTransfers.__new__(PushedTransfers)
    made.__dict__.update(party.transfers.__dict__, _pushes=True, _worker=name)
    return made


@pytest.fixture
def taken_over(provider: Party, world: World) -> tuple[PushedTransfers, Transfer, Transfer]:
    """A process, the push as it claimed it, and the same as another process has it."""
    started = transfer(state=TransferState.STARTED, format=FORMAT_HTTP_PUSH, updated=NOW)
    provider.stores.transfers.add(started)
    held = provider.stores.transfers.get(started.pid)
    mine = replace(held, pushing=world.now - timedelta(seconds=1), pusher="one")
    claimed = provider.stores.transfers.save(mine, seen=held.version)
    theirs = replace(claimed, pushing=world.now + PUSH_LEASE / 4, pusher="other")
    return process(provider, "one"), claimed, provider.stores.transfers.save(theirs, seen=claimed.version)


def test_no_sign_of_life_and_no_rest_of_mine_touches_the_lease_of_another(
    provider: Party, taken_over: tuple[PushedTransfers, Transfer, Transfer]
) -> None:
    late, _, theirs = taken_over
    late.is_alive(theirs.pid)
    late.hold(theirs.pid, None)
    assert provider.stores.transfers.get(theirs.pid) == theirs
    process(provider, "other").is_alive(theirs.pid)
    assert provider.stores.transfers.get(theirs.pid).pushing != theirs.pushing


def test_the_end_of_a_push_from_before_a_rest_leaves_the_one_after_it_to_who_is_at_it(
    provider: Party, taken_over: tuple[PushedTransfers, Transfer, Transfer]
) -> None:
    late, claimed, theirs = taken_over
    anew = replace(theirs, updated=theirs.updated + timedelta(seconds=5))
    anew = provider.stores.transfers.save(anew, seen=theirs.version)
    late.pushed(claimed)
    late.not_pushed(claimed, PeerUnavailable("the sink broke off"))
    assert provider.stores.transfers.get(theirs.pid) == anew
