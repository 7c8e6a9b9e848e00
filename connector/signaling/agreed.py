"""Pure: from what a control plane shows as agreement to one that we enforce, or to a refusal."""

from __future__ import annotations

from datetime import datetime

from connector.negotiation.ports import SignedAgreement
from connector.outbox.letter import bounded
from connector.signaling.ports import ControlPlane, DataFlow
from schemas.base import Role
from schemas.canonical import digest
from schemas.errors import AlreadyExists, Forbidden, PolicyMismatch
from schemas.odrl import Agreement


def checked(agreement: Agreement, flow: DataFlow, plane: ControlPlane) -> Agreement:
    """Return an agreement if it is the one of a flow.

    Raises:
        PolicyMismatch: naming what it says, and what the flow says.
    """
    bounded("agreement.@id", agreement.id)
    for name, said, expected in (
        ("@id", agreement.id, flow.agreement),
        ("target", agreement.target, flow.dataset),
        ("assigner", agreement.assigner, plane.participant),
        ("assignee", agreement.assignee, flow.consumer),
    ):
        if said != expected:
            raise PolicyMismatch(
                f"agreement of control plane {plane.id!r}: {name} is {said[:120]!r}, "
                f"but the data flow is about {expected[:120]!r}"
            )
    return agreement


def signed(agreement: Agreement, flow: DataFlow, plane: ControlPlane, at: datetime) -> SignedAgreement:
    """Return an agreement as we keep it; `negotiation` tells which control plane made it."""
    return SignedAgreement(
        agreement=agreement,
        role=Role.PROVIDER,
        counterparty=flow.consumer,
        callback=plane.url,
        negotiation=origin(plane),
        digest=digest(agreement.wire()),
        use=flow.use,
        signed=at,
        final=True,
        control_plane=plane.id,
    )


def origin(plane: ControlPlane) -> str:
    """Return how agreements of a control plane are marked: ours can never be taken for them."""
    return f"urn:hansa:control-plane:{plane.id}"


def standing(held: SignedAgreement, shown: SignedAgreement) -> SignedAgreement:
    """Return the agreement that we keep already, if what is shown now is the same and it stands.

    Raises:
        AlreadyExists: if the id belongs to another agreement, or its terms changed.
        Forbidden: if it was revoked.
    """
    if (held.control_plane, held.counterparty) != (shown.control_plane, shown.counterparty):
        raise AlreadyExists(
            f"agreement {shown.agreement.id[:120]!r} is here already, but not from this control plane"
        )
    if held.digest != shown.digest:
        raise AlreadyExists(
            f"agreement {shown.agreement.id[:120]!r} was shown before with digest {held.digest}, now with "
            f"{shown.digest}; terms do not change under the same id"
        )
    if held.revoked is not None:
        raise Forbidden(f"agreement {shown.agreement.id[:120]!r} was revoked: {held.revoked}")
    return held
