"""Finding data in a catalogue: search, and from part of a name to exactly one dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from connector.client.management import Management
from schemas.binding.client import Egress, Http
from schemas.errors import DataspaceError, Malformed, NotFound, PeerRefused, PeerUnavailable
from schemas.worded import read_told, worded

MOST_HITS = 100
"""Hits that are looked through for a name."""
_SHOWN = 10


def own_http(timeout: float = 30.0) -> Http:
    """Return a client for addresses that the user named: any network, but plain http on loopback only."""
    return Http(Egress.allowing(("0.0.0.0/0", "::/0")), timeout=timeout)


@dataclass(frozen=True)
class Hit:
    """A dataset as the catalogue shows it.

    `provider` is the DID of who offers it, `endpoint` the base URL of its DSP endpoints. `offers` are ODRL in
    JSON. `answer` is the catalogue's opinion on the use that was asked about; the provider decides.
    """

    id: str
    title: str
    provider: str
    endpoint: str
    offers: tuple[Mapping[str, Any], ...] = field(repr=False)
    answer: str = "unknown"
    reasons: tuple[str, ...] = ()
    next: str | None = None
    offer: str | None = None


def search(  # noqa: PLR0913 - what may be asked of a catalogue
    catalogue: str,
    text: str,
    *,
    purpose: str | None = None,
    action: str = "train",
    size: int = 20,
    http: Http | None = None,
    own: Management | None = None,
) -> dict[str, Any]:
    """Search a catalogue, and ask of each hit whether the use is allowed.

    Through the user's own connector the catalogue knows who asks, and decides by what the member list states
    of it. Where that cannot be had, it is asked again as by anybody, and `note` says why.

    Args:
        catalogue: its URL.
        text: words; each must begin some word of the dataset.
        purpose: what for, such as `dpv:ScientificResearch`.
        action: what is meant to be done, such as `train`.
        size: hits at most.
        http: made for this call where none is given.
        own: the user's own connector, if it shall ask in the user's name.

    Returns:
        The catalogue's answer: `hits`, `facets`, `total`; `decidedFor` is the member for whom it decided.

    Raises:
        PeerUnavailable: if there is no catalogue at the URL.
        PeerRefused: if it refuses, saying why.
        Malformed: if its answer is none.
    """
    asked = {"q": text, "purpose": purpose, "action": action, "size": size}
    if own is not None:
        try:
            found = own.get("/catalogue/search", catalogue=catalogue, **asked)
            return _hits(found, catalogue)
        except DataspaceError as error:
            # The answer is an opinion: anybody's is better than none, and it is said whose it is.
            anonymous = _asked_as_anybody(catalogue, asked, http)
            return {**anonymous, "note": f"asked as by anybody, since {error}"}
    return _asked_as_anybody(catalogue, asked, http)


def _asked_as_anybody(catalogue: str, asked: Mapping[str, Any], http: Http | None) -> dict[str, Any]:
    query = urlencode({name: value for name, value in asked.items() if value})
    client = http or own_http()
    try:
        reply = client.get(f"{catalogue.rstrip('/')}/search?{query}")
    except PeerUnavailable as error:
        raise PeerUnavailable(f"no catalogue at {catalogue}: {error}") from None
    finally:
        if http is None:
            client.close()
    document = reply.json()
    if not reply.ok:
        told = document if isinstance(document, dict) else {}
        raise PeerRefused(
            str(told.get("detail") or f"the catalogue answered {reply.status}"), peer_status=reply.status
        )
    return _hits(document, catalogue)


def _hits(document: Any, catalogue: str) -> dict[str, Any]:
    if not isinstance(document, dict) or not isinstance(document.get("hits"), list):
        raise Malformed(f"{catalogue} answered something else than hits; is it the URL of a catalogue?")
    return document


def read_hit(document: Any) -> Hit:
    """Read one hit.

    Raises:
        Malformed: naming what it lacks.
    """
    if not isinstance(document, dict):
        raise Malformed("a hit of the catalogue is no JSON object")
    texts = {name: document.get(name) for name in ("id", "provider", "endpoint")}
    for name, value in texts.items():
        if not isinstance(value, str) or not value:
            raise Malformed(f"hit {str(document.get('id'))[:120]!r} of the catalogue has no {name!r}")
    said, offers = document.get("eligibility"), document.get("offers")
    told: Mapping[str, Any] = said if isinstance(said, dict) else {}
    reasons = tuple(str(one) for one in told.get("reasons") or ())
    following = told.get("next") if isinstance(told.get("next"), str) else None
    return Hit(
        **{name: str(value) for name, value in texts.items()},
        title=str(document.get("title") or texts["id"]),
        offers=tuple(one for one in offers if isinstance(one, dict)) if isinstance(offers, list) else (),
        answer=str(told.get("answer", "unknown")),
        reasons=worded(reasons, read_told(told.get("told"), len(reasons))),
        next=worded((following,), read_told([told.get("nextTold")], 1))[0] if following else None,
        offer=told.get("offer") if isinstance(told.get("offer"), str) else None,
    )


def one_dataset(hits: Sequence[Hit], name: str) -> Hit:
    """Choose the dataset that a name means: its id, the end of its id, or its title.

    Raises:
        NotFound: if none fits, naming near ones.
        Malformed: if several fit, listing them.
    """
    wanted = bare(name)
    for fits in (
        [hit for hit in hits if hit.id == wanted],
        [hit for hit in hits if _ends_with(hit.id, wanted)],
        [hit for hit in hits if hit.title.casefold() == wanted.casefold()],
        [hit for hit in hits if wanted.casefold() in hit.id.casefold()],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise Malformed(f"{name!r} fits {len(fits)} datasets; name one of them: {_listed(fits)}")
    near = f"; the catalogue found {_listed(hits)}" if hits else "; the catalogue found nothing like it"
    raise NotFound(f"no dataset is called {name!r}{near}")


def bare(name: str) -> str:
    """Return a name without the ellipsis that stands for what was left out."""
    return name.strip().removeprefix("…").removeprefix("...").removesuffix("…").removesuffix("...").strip()


def _ends_with(dataset: str, end: str) -> bool:
    """Say whether an id ends with whole words: `…:nycflights13.flights` ends with `flights`."""
    if not dataset.casefold().endswith(end.casefold()):
        return False
    before = dataset[: len(dataset) - len(end)]
    return not before or not before[-1].isalnum() or not end[0].isalnum()


def _listed(hits: Sequence[Hit]) -> str:
    shown = ", ".join(f"{hit.id} (from {hit.provider})" for hit in hits[:_SHOWN])
    return shown + (f" and {len(hits) - _SHOWN} more" if len(hits) > _SHOWN else "")


def find(  # noqa: PLR0913 - what may be asked of a catalogue, and by whom
    catalogue: str,
    name: str,
    *,
    http: Http,
    purpose: str | None,
    action: str,
    own: Management | None = None,
) -> Hit:
    """Return the one dataset of a catalogue that a name means.

    Raises:
        NotFound: if none fits.
        Malformed: if several fit, listing them.
        PeerUnavailable: if there is no catalogue at the URL.
    """
    wanted = bare(name)
    if not wanted:
        raise Malformed("the name of the dataset is empty; give its id, or the end of it")
    found = search(catalogue, wanted, purpose=purpose, action=action, size=MOST_HITS, http=http, own=own)
    return one_dataset([read_hit(hit) for hit in found["hits"]], name)
