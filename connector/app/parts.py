"""The rooms and the data plane: what each is given. They know each other, and meet only here."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from connector.adapters.control_planes import CourierByKind
from connector.adapters.courier import TRANSIENT, HttpCourier
from connector.adapters.keys import load_or_create_secret
from connector.adapters.ledgers import HttpLedgers
from connector.adapters.push import HttpPushLines
from connector.api.doors import StreamDoors
from connector.app.ground import MASK_FILE, SINK_FILE, Ground
from connector.dataplane.preview import Previews
from connector.dataplane.pushes import Pushes
from connector.dataplane.service import Streams
from connector.dataplane.sink import Sinks
from connector.dataplane.watch import Watcher
from connector.negotiation import judge as negotiation_judge
from connector.negotiation.judge import CounterOffers
from connector.negotiation.service import Negotiations
from connector.offering.service import Offerings
from connector.outbox.aside import Aside
from connector.outbox.process import RECOVERY
from connector.outbox.rules import Do, Rule
from connector.outbox.service import Outbox
from connector.promises import Promises, Rooms
from connector.settings import RuleSettings
from connector.signaling.decisions import Decisions
from connector.signaling.ports import DataFlow
from connector.signaling.service import DataFlows
from connector.transfer import judge as transfer_judge
from connector.transfer.ports import Transfer
from connector.transfer.pushing import PushedTransfers
from connector.transfer.starts import Starts
from schemas.base import Role
from schemas.binding.lean import Surplus
from schemas.binding.versions import Versions
from schemas.errors import Misconfigured


class Parts(Ground):
    """The parts that know each other, in the order of the story.

    Each part is made when it is first asked for. Where two parts need each other, one asks later: what is
    given to it is a function.
    """

    @cached_property
    def outbox(self) -> Outbox:
        """Carries what the rooms say, and tells them what became of it."""
        retried = frozenset(self.settings.negotiation.retried_statuses)
        http = self._world.http
        dsp = HttpCourier(
            http, self.trust, transient=TRANSIENT | retried, versions=Versions(http, self.clock)
        )
        return Outbox(
            store=self.stores.outbox,
            courier=CourierByKind(dsp, {"dataflow": HttpCourier(http, self._control_planes)}),
            senders={
                "negotiation": self.negotiations,
                "transfer": self.transfers,
                "publication": self._push,
                "dataflow": self.flows,
                "receipt": self.promises.fulfilments,
            },
            clock=self.clock,
            chores=(
                self.negotiations.tick,
                self.transfers.tick,
                self.promises.revocations.tick,
                Aside("obligations", self.promises.ledger.tick),
                Aside("data flows", self.flows.tick),
                self.pushes.tick,
                *((self.transfer_pushes.tick,) if self.settings.transfer.most_pushes else ()),
                self.streams.tick,
                self.stores.database.stay,
                Surplus(lambda: self.streams.count > 0).tick,
                self.stores.take_back,
            ),
        )

    @cached_property
    def offerings(self) -> Offerings:
        """What we offer."""
        return Offerings(
            store=self.stores.offerings,
            sources=self._sources,
            usage_record=self.usage.record,
            announce=self._push,
            clock=self.clock,
            holder=self._holder,
            wake=lambda process: self.outbox.wake(process),
        )

    @cached_property
    def negotiations(self) -> Negotiations:
        """Contract negotiations, both roles."""
        given = self.settings.negotiation
        rules = negotiation_judge.rules_of(*map(_rule, given.rules))
        return Negotiations(
            store=self.stores.negotiations,
            offerings=self.stores.offerings,
            fit=self.offerings.fit,
            judge=negotiation_judge.RuledJudge(
                rules, negotiation_judge.Judge(given.automatic, CounterOffers(given.counter_offers))
            ),
            claims=self.trust.claims,
            **self._process,
        )

    @cached_property
    def transfers(self) -> PushedTransfers:
        """Transfer processes, both roles."""
        given = self.settings.transfer
        rules = transfer_judge.rules_of(*map(_rule, given.rules))
        return PushedTransfers(
            pushes=given.most_pushes > 0,
            worker=self.stores.worker,
            store=self.stores.transfers,
            agreements=self.stores.negotiations,
            offerings=self.stores.offerings,
            starts=Starts(
                agreements=self.stores.negotiations,
                usage=self.usage,
                addresses=lambda transfer, ticket: self.doors.address(transfer.pid, transfer.format, ticket),
                ticket_key=self._key,
                clock=self.clock,
                hindrance=lambda agreement: self.promises.ledger.hindrance(agreement),
                claims=self.trust.claims,
            ),
            judge=transfer_judge.RuledJudge(rules, transfer_judge.Judge(given.automatic)),
            moved=self._moved,
            sinks=self.sinks.address,
            **self._process,
        )

    def _moved(self, transfer: Transfer) -> None:
        """Have the streams of a transfer look again, and begin the push that it starts."""
        self.streams.look_again(transfer.pid)
        if self.transfers.is_pushed(transfer):
            self.transfer_pushes.begin(transfer.pid)

    @cached_property
    def streams(self) -> Streams:
        """Opens streams for tickets."""
        return Streams(
            agreements=self.stores.negotiations,
            transfers=self.stores.started,
            offerings=self.stores.offerings,
            usage=self.usage,
            scans=self._sources,
            ticket_key=self._key,
            mask_secret=load_or_create_secret(self._state / MASK_FILE),
            clock=self.clock,
            new_id=self._world.new_id,
            standing=lambda did: self.trust.standing(did, wait=True),
            hindrance=lambda agreement: self.promises.ledger.hindrance(agreement),
            settled=lambda agreement: self.promises.ledger.delivered(agreement),
            claims=self.trust.claims,
        )

    @cached_property
    def previews(self) -> Previews:
        """Shows the holder what a policy would release, and whom it would touch."""
        return Previews(
            offerings=self.stores.offerings,
            sources=self._sources,
            scans=self._sources,
            agreements=self.stores.negotiations,
            streams=self.streams.open_by_agreement,
            totals=self.usage.totals,
            claims=self.trust.claims,
            mask_secret=load_or_create_secret(self._state / MASK_FILE),
            clock=self.clock,
        )

    @cached_property
    def promises(self) -> Promises:
        """How agreements end, and what is owed under them."""
        return Promises(
            us=self._us,
            agreements=self.stores.negotiations,
            entries=self.stores.obligations,
            receipts=self.stores.receipts,
            usage=self.usage,
            trust=self.trust,
            peers=HttpLedgers(self._world.http, self.trust),
            rooms=Rooms(
                transfers=lambda: self.transfers,
                flows=lambda: self.flows,
                remind=lambda due: self.outbox.remind(due),
                wake=lambda process: self.outbox.wake(process),
            ),
        )

    @cached_property
    def watcher(self) -> Watcher:
        """Ends streams whose ground has gone."""
        return Watcher(
            changes=self.stores.changes,
            opened=lambda: self.streams.opened,
            standing=self.trust.standing,
            claims=lambda participant: self.trust.claims(participant, wait=False),
        )

    @cached_property
    def sinks(self) -> Sinks:
        """Takes what is pushed to us."""
        return Sinks(
            secret=load_or_create_secret(self._state / SINK_FILE),
            inlets=lambda: (self.transfers, self.flows),
            landing=self._received,
            url=self.settings.public_url,
            most_bytes=self.settings.receive.most_bytes,
            clock=self.clock,
        )

    @cached_property
    def flows(self) -> DataFlows:
        """Data flows of foreign control planes."""
        return DataFlows(
            planes=tuple(access.plane for access in self._planes),
            profiles=self.settings.signaling.profiles,
            store=self.stores.flows,
            decisions=Decisions(
                peers=self._control_planes,
                agreements=self.stores.negotiations,
                offers=self.offerings,
                usage=self.usage,
                source=self.doors.address,
                sink=self.sinks.address,
                ticket_key=self._key,
                clock=self.clock,
                claims=self.trust.claims,
            ),
            wake=lambda process: self.outbox.wake(process),
            record=self.usage.record,
            clock=self.clock,
            new_id=self._world.new_id,
            patience=self._patience,
            moved=lambda flow: self.streams.look_again(flow.pid),
            worker=self.stores.worker,
        )

    @cached_property
    def pushes(self) -> Pushes[DataFlow]:
        """Pushes the data of flows to where it is wanted."""
        return Pushes(
            room=self.flows,
            streams=self.streams,
            lines=HttpPushLines(self._world.http.egress),
            clock=self.clock,
            most=self.settings.signaling.most_pushes,
            patience=self._patience,
        )

    @cached_property
    def transfer_pushes(self) -> Pushes[Transfer]:
        """Pushes the data of transfers to where their consumers take it."""
        return Pushes(
            room=self.transfers,
            streams=self.streams,
            lines=HttpPushLines(self._world.http.egress),
            clock=self.clock,
            most=self.settings.transfer.most_pushes,
            patience=self._patience,
            every=RECOVERY,
        )

    @cached_property
    def doors(self) -> StreamDoors:
        """The doors through which data leaves."""
        return StreamDoors(self.streams, self.settings.stream)

    @cached_property
    def _process(self) -> dict[str, Any]:
        """What negotiations and transfers are given alike."""
        return {
            "wake": lambda process: self.outbox.wake(process),
            "remind": lambda due: self.outbox.remind(due),
            "record": self.usage.record,
            "clock": self.clock,
            "new_id": self._world.new_id,
            "did": self._did,
            "callback": self._dsp_url,
            "patience": self._patience,
        }


def _rule(given: RuleSettings) -> Rule:
    """Return a rule as the rooms read it.

    Raises:
        Misconfigured: naming what no rule can do.
    """
    if given.do not in list(Do):
        raise Misconfigured(f"a rule cannot {given.do!r}; it can {', '.join(Do)}")
    said = given.model_dump() | {"do": Do(given.do), "role": Role(given.role) if given.role else None}
    return Rule(**said)
