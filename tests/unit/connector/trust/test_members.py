from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from starlette.responses import JSONResponse

from connector.trust.members import FORCED, FRESH, _expiry
from connector.trust.ports import Caller
from policies.use import NO_CLAIMS, Claims
from schemas.errors import Forbidden, Unauthenticated, Unavailable
from schemas.identity import (
    MemberList,
    did_for,
    document_for,
    generate_key,
    self_issued,
    sign_claims,
    sign_members,
)
from schemas.receipts import HeldReceipt
from tests.patience import until
from tests.world import AUTHORITY, Party, World


def test_a_member_that_proves_itself_is_admitted_with_its_roles(world: World, provider: Party) -> None:
    crawler = world.join("crawler", roles=("catalog",))
    assert provider.trust.admit(crawler.trust.prove(provider.did)) == Caller(
        crawler.did, frozenset({"catalog"})
    )


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer nonsense", "Bearer a.b.c"]
)
def test_a_missing_or_meaningless_header_proves_nothing(
    quiet: tuple[Party, Party], header: str | None
) -> None:
    provider, _ = quiet
    with pytest.raises(Unauthenticated):
        provider.trust.admit(header)


def test_a_token_is_good_once(provider: Party, consumer: Party) -> None:
    token = consumer.trust.prove(provider.did)
    provider.trust.admit(token)
    with pytest.raises(Unauthenticated, match="was used before"):
        provider.trust.admit(token)


def test_an_expired_token_is_refused_with_both_times(world: World, provider: Party, consumer: Party) -> None:
    token = consumer.trust.prove(provider.did)
    world.pass_time(600)
    with pytest.raises(
        Unauthenticated, match=r"expired at 2026-11-23T12:05:00.*now it is 2026-11-23T12:10:00"
    ):
        provider.trust.admit(token)


def test_a_token_from_the_future_is_refused(world: World, provider: Party, consumer: Party) -> None:
    world.pass_time(600)
    token = consumer.trust.prove(provider.did)
    world.pass_time(-600)
    with pytest.raises(Unauthenticated, match="token starts at"):
        provider.trust.admit(token)


def test_a_token_for_somebody_else_is_refused_with_both_names(
    world: World, provider: Party, consumer: Party
) -> None:
    other = world.join("other")
    with pytest.raises(Unauthenticated) as refused:
        provider.trust.admit(consumer.trust.prove(other.did))
    assert f"meant for '{other.did}', not for '{provider.did}'" in str(refused.value)


def test_a_token_signed_with_another_key_is_refused(world: World, provider: Party, consumer: Party) -> None:
    key = generate_key()
    forged = sign_claims(
        key,
        f"{consumer.did}#{consumer.trust._key.kid}",
        {
            "iss": consumer.did,
            "sub": consumer.did,
            "aud": provider.did,
            "jti": "1",
            "iat": 1795435200,
            "exp": 1795435500,
        },
    )
    with pytest.raises(Unauthenticated, match="signature does not hold"):
        provider.trust.admit(f"Bearer {forged}")


def test_who_is_no_member_is_refused_and_nothing_is_fetched_on_its_behalf(
    world: World, provider: Party
) -> None:
    stranger = world.join("stranger", listed=False)
    with pytest.raises(Forbidden, match="no member of this data space"):
        provider.trust.admit(stranger.trust.prove(provider.did))
    assert {path for _, path, _ in world.wire.log} == {"/members.jwt"}


def test_a_member_whose_time_is_over_is_refused(world: World, provider: Party, consumer: Party) -> None:
    world.pass_time(366 * 24 * 3600)
    with pytest.raises(Forbidden, match=r"membership of .* ended at"):
        provider.trust.admit(consumer.trust.prove(provider.did))


def test_only_the_listed_key_of_a_did_document_may_speak(
    world: World, provider: Party, consumer: Party
) -> None:
    other = generate_key()
    both = document_for(consumer.did, other)
    listed = document_for(consumer.did, consumer.trust._key)
    merged = both.model_copy(
        update={
            "verification_method": (*both.verification_method, *listed.verification_method),
            "capability_invocation": (*both.capability_invocation, *listed.capability_invocation),
        }
    )
    serve_document(world, consumer, merged.wire())
    provider.trust.admit(consumer.trust.prove(provider.did))
    forged = self_issued(other, consumer.did, provider.did, jti="x", at=world.now)
    with pytest.raises(Unauthenticated, match="signature does not hold"):
        provider.trust.admit(f"Bearer {forged}")
    serve_document(world, consumer, both.wire())
    world.pass_time(600)
    with pytest.raises(Unauthenticated, match="has the thumbprint"):
        provider.trust.admit(consumer.trust.prove(provider.did))


def test_a_did_host_that_is_down_is_a_reason_to_try_again_not_a_verdict(
    world: World, provider: Party, consumer: Party
) -> None:
    token = consumer.trust.prove(provider.did)
    app = world.wire.apps.pop(consumer.url.removeprefix("http://"))
    with pytest.raises(Unavailable, match="cannot learn the keys"):
        provider.trust.admit(token)
    world.wire.apps[consumer.url.removeprefix("http://")] = app
    assert provider.trust.admit(token).id == consumer.did, "the token was not burnt"


def serve_document(world: World, party: Party, document: Any) -> None:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse(document)(scope, receive, send)

    world.wire.apps[party.url.removeprefix("http://")] = serve


# --- the member list ---------------------------------------------------------------------------------


def test_a_new_member_is_known_after_one_forced_look(world: World, provider: Party, consumer: Party) -> None:
    provider.trust.admit(consumer.trust.prove(provider.did))
    newcomer = world.join("newcomer")
    world.pass_time(2)
    assert provider.trust.admit(newcomer.trust.prove(provider.did)).id == newcomer.did


def test_strangers_make_us_fetch_the_list_at_most_once_a_second(world: World, provider: Party) -> None:
    stranger = world.join("stranger", listed=False)
    for _ in range(20):
        with pytest.raises(Forbidden):
            provider.trust.admit(stranger.trust.prove(provider.did))
    fetches = [path for _, path, _ in world.wire.log if path == "/members.jwt"]
    assert len(fetches) == 2, "the first need of it, and one forced look"
    world.now += FORCED
    with pytest.raises(Forbidden):
        provider.trust.admit(stranger.trust.prove(provider.did))
    assert len([path for _, path, _ in world.wire.log if path == "/members.jwt"]) == 3


def test_a_held_list_serves_while_its_host_is_down_until_it_expires(
    world: World, provider: Party, consumer: Party
) -> None:
    provider.trust.admit(consumer.trust.prove(provider.did))
    del world.wire.apps["localhost:8000"]
    world.pass_time(FRESH.total_seconds() + 60)
    provider.trust.admit(consumer.trust.prove(provider.did))
    world.pass_time(3600)
    with pytest.raises(Unavailable, match="no valid member list"):
        provider.trust.admit(consumer.trust.prove(provider.did))


def members_of(world: World, party: Party) -> Any:
    fetched: Any = party.trust._members
    assert fetched() is not None
    return fetched


def test_a_list_with_a_lower_serial_is_not_taken(world: World, provider: Party, consumer: Party) -> None:
    fetched = members_of(world, provider)
    held = fetched()
    world.serial = 1
    world.members.clear()
    world.pass_time(2)
    assert fetched.refresh() == held


def test_a_list_that_the_authority_did_not_sign_is_not_taken(world: World, provider: Party) -> None:
    fetched = members_of(world, provider)
    held = fetched()
    world._authority = generate_key()
    world.serial += 1
    world.pass_time(2)
    assert fetched.refresh() == held


def test_a_list_grows_old_in_the_background_and_is_replaced(
    world: World, provider: Party, consumer: Party
) -> None:
    fetched = members_of(world, provider)
    world.serial += 1
    world.pass_time(FRESH.total_seconds() + 1)
    assert fetched().serial == world.serial - 1, "nobody waits for the new list"
    for thread in threading.enumerate():
        if thread.name == "members":
            thread.join()
    assert fetched().serial == world.serial


def test_the_lists_address_is_named_when_there_is_none(
    world: World, provider: Party, consumer: Party
) -> None:
    del world.wire.apps["localhost:8000"]
    with pytest.raises(Unavailable, match=AUTHORITY.replace(".", r"\.")):
        provider.trust.admit(consumer.trust.prove(provider.did))


def test_a_fixed_list_will_do_where_nothing_is_fetched(
    world: World, provider: Party, consumer: Party
) -> None:
    provider.trust._members = lambda: MemberList(space="none", serial=0)
    with pytest.raises(Forbidden):
        provider.trust.admit(consumer.trust.prove(provider.did))


def test_a_signed_list_says_when_it_ends(world: World) -> None:
    token = sign_members(
        MemberList(space="s", serial=1), generate_key(), at=world.now, life=timedelta(hours=1)
    )
    assert _expiry(token) == world.now + timedelta(hours=1)
    assert did_for("http://localhost:1") == "did:web:localhost%3A1"


def test_a_member_that_leaves_the_list_may_not_stream_any_more_once_the_list_is_fresh(
    world: World, provider: Party, consumer: Party
) -> None:
    assert provider.trust.standing(consumer.did, wait=True) is None
    world.members = [one for one in world.members if one.id != consumer.did]
    world.serial += 1
    assert provider.trust.standing(consumer.did) is None
    world.pass_time(FRESH.total_seconds())
    provider.trust.standing(consumer.did)  # has the list fetched behind our back
    until(lambda: provider.trust.standing(consumer.did) is not None)
    assert provider.trust.standing(consumer.did) == f"{consumer.did} is no member of this data space"


def test_a_membership_that_ends_is_told_with_its_date(world: World, provider: Party, consumer: Party) -> None:
    world.members = [
        one.model_copy(update={"valid_to": world.now + timedelta(minutes=1)})
        if one.id == consumer.did
        else one
        for one in world.members
    ]
    assert provider.trust.standing(consumer.did, wait=True) is None
    world.pass_time(60)
    assert "ended at 2026-11-23T12:01:00" in str(provider.trust.standing(consumer.did))


def test_without_a_list_that_holds_nobody_can_say_who_may_stream(
    world: World, provider: Party, consumer: Party
) -> None:
    assert provider.trust.standing(consumer.did, wait=True) is None
    assert provider.trust.claims(consumer.did, wait=False) == Claims(listed=True)
    world.wire.faults.append(lambda request: "lose" if "members" in request.url.path else None)
    world.pass_time(2 * 3600)
    with pytest.raises(Unavailable, match="expired"):
        provider.trust.standing(consumer.did)
    with pytest.raises(Unavailable, match="expired"):
        provider.trust.claims(consumer.did, wait=False)
    assert provider.trust.claims(consumer.did) == NO_CLAIMS
    with pytest.raises(Unavailable, match="no valid member list"):
        provider.trust.standing(consumer.did, wait=True)


def test_what_a_member_signed_is_verified_whoever_brings_it(
    world: World, provider: Party, consumer: Party
) -> None:
    token = consumer.trust.prove(provider.did).removeprefix("Bearer ")
    assert provider.trust.verified(consumer.did, token).claims["iss"] == consumer.did
    other = world.join("other")
    with pytest.raises(Unauthenticated):
        provider.trust.verified(other.did, token)
    with pytest.raises(Forbidden, match="no member"):
        provider.trust.verified("did:web:stranger.example", token)


def test_of_the_key_that_signed_nothing_is_kept_but_the_key_itself(
    world: World, provider: Party, consumer: Party
) -> None:
    token = consumer.trust.prove(provider.did).removeprefix("Bearer ")
    document = document_for(consumer.did, consumer.trust._key)
    (method,) = document.verification_method
    more = {f"note{number}": "x" * 1000 for number in range(20)}
    stuffed = method.model_copy(update={"public_key_jwk": {**method.public_key_jwk, **more}})
    serve_document(world, consumer, document.model_copy(update={"verification_method": (stuffed,)}).wire())
    key = provider.trust.verified(consumer.did, token).key
    assert key == {name: method.public_key_jwk[name] for name in ("kty", "crv", "x")}
    HeldReceipt(id="urn:receipt:1", agreement="urn:a:1", token=token, key=key)  # an auditor can be shown it
