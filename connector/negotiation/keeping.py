"""Terms that a consumer wrote are agreed only if they can be kept on the data."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from connector.negotiation.judge import Say, end
from connector.negotiation.machine import Said
from connector.negotiation.ports import Negotiation
from policies.compiled import CompiledPolicy, compile_policy
from schemas.dsp.negotiation import NegotiationState as State
from schemas.errors import PolicyMismatch

_log = structlog.get_logger("connector.negotiation")

Fitting = Callable[[str, CompiledPolicy], None]
"""Refuses (PolicyMismatch) a policy that cannot be kept on a dataset."""


def kept(negotiation: Negotiation, say: Say, fit: Fitting) -> Say:
    """Return what we say, or an end where we would agree to terms of a consumer that cannot be kept.

    What the data have beyond what the catalogue describes is told to nobody: the reason names no column, the
    operator's log does.
    """
    theirs = negotiation.state is State.REQUESTED and say.what is Said.AGREEMENT and say.offer is None
    if not theirs:
        return say
    try:
        fit(negotiation.dataset, compile_policy(negotiation.offer))
    except PolicyMismatch as error:
        _log.info("terms that cannot be kept", negotiation=negotiation.pid, why=str(error))
        return end(
            "offer-misfit",
            "the terms that were asked for cannot be kept on these data; "
            "ask only for columns, values and masks that fit what the catalogue describes",
        )
    return say
