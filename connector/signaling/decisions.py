"""Whether data may flow, and what opens it: the agreement that a control plane shows, and the ticket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from joserfc.jwk import OKPKey

from connector.negotiation.ports import NegotiationStore, SignedAgreement
from connector.signaling.agreed import checked, signed, standing
from connector.signaling.ports import ControlPlane, ControlPlanes, DataFlow, Offers
from connector.transfer.starts import Totals
from connector.transfer.ticket import granted, issue, lasting
from policies.compiled import compile_policy
from policies.decision import Deny, decide, spoken_reasons
from policies.use import NO_CLAIMS, Claims, Use
from schemas.base import Role
from schemas.dps import FlowState as State
from schemas.dsp.transfer import DataAddress
from schemas.errors import NotFound, UseDenied


@dataclass(frozen=True)
class Begun:
    """What a decision to let data flow came to: the agreement, saved anew or not, and until when it holds."""

    held: SignedAgreement
    is_new: bool
    until: datetime | None


class Decisions:
    """Decides on data flows.

    Args:
        peers: fetches agreements from control planes.
        agreements: keeps the agreements, beside our own.
        offers: knows what we offer.
        usage: knows what an agreement has used.
        source: tells where the data of a flow (its pid, profile and ticket) is fetched from us.
        sink: tells where the data of a flow (its pid and profile) is pushed to us.
        ticket_key: signs tickets.
        clock: UTC, aware.
    """

    def __init__(  # noqa: PLR0913 - keyword-only parts, named in app/
        self,
        *,
        peers: ControlPlanes,
        agreements: NegotiationStore,
        offers: Offers,
        usage: Totals,
        source: Callable[[str, str, str], DataAddress],
        sink: Callable[[str, str], DataAddress],
        ticket_key: OKPKey,
        clock: Callable[[], datetime],
        claims: Callable[[str], Claims] = lambda _: NO_CLAIMS,
    ) -> None:
        self._claims = claims
        self._peers, self._agreements = peers, agreements
        self._offers, self._usage = offers, usage
        self._source, self._sink = source, sink
        self._ticket_key, self._clock = ticket_key, clock

    def begin(self, plane: ControlPlane, flow: DataFlow) -> Begun:
        """Fetch the agreement of a flow, and decide whether its data may flow.

        Raises:
            Refused: if it may not, saying why.
            PeerUnavailable: if the agreement cannot be had.
        """
        shown = signed(checked(self._peers.agreement(plane, flow), flow, plane), flow, plane, self._clock())
        policy = compile_policy(shown.agreement)
        self._offers.fit(flow.dataset, policy)
        earlier = self.held(flow)
        held = shown if earlier is None else standing(earlier, shown)
        decision = decide(
            policy,
            Use.declared(flow.consumer, flow.use, self._claims(flow.consumer)),
            self._usage.totals(flow.agreement, flow.pid),
            self._clock(),
        )
        if isinstance(decision, Deny):
            raise UseDenied(spoken_reasons(decision))
        return Begun(held, earlier is None, decision.limits.until)

    def held(self, flow: DataFlow) -> SignedAgreement | None:
        """Return the agreement of a flow as we keep it, if we do."""
        try:
            return self._agreements.agreement(flow.agreement)
        except NotFound:
            return None

    def address(self, flow: DataFlow, begun: Begun | None = None) -> DataAddress | None:
        """Return the address that the other side needs to fetch the data, or to bring it, if it needs one."""
        if flow.role is Role.CONSUMER:
            sinks = flow.direction == "push" and flow.state is State.PREPARED
            return self._sink(flow.pid, flow.profile) if sinks else None
        if flow.direction == "push" or flow.state is not State.STARTED:
            return None
        return self._source(flow.pid, flow.profile, self.ticket(flow, begun))

    def ticket(self, flow: DataFlow, begun: Begun | None = None) -> str:
        """Issue the ticket of a flow; whether it opens a stream is decided when one is opened."""
        held = begun.held if begun else self._agreements.agreement(flow.agreement)
        until, use = begun.until if begun else None, Use.declared(flow.consumer, flow.use)
        ticket = granted(flow.pid, held.agreement, use, held.epoch, lasting(self._clock(), until))
        return issue(ticket, self._ticket_key)
