"""A search for whoever sits here: through the own connector where one is named, else as anybody."""

from __future__ import annotations

from typing import Any

from connector.client.desk import PATIENCE
from connector.client.find import own_http, search
from connector.client.management import Management
from connector.client.setup import setup_if_any


def find_for_user(
    catalogue: str, text: str, use: tuple[str | None, str], most: int, *, anonymous: bool = False
) -> dict[str, Any]:
    """Search a catalogue in the user's own name, if a connector speaks for the user.

    Args:
        catalogue: its URL.
        text: words to look for.
        use: purpose (or None) and action.
        most: hits at most.
        anonymous: leave the own connector out.

    Raises:
        Misconfigured: if a connector is named and cannot be used.
        Unauthenticated: if it does not know the key.
        PeerUnavailable: if connector or catalogue cannot be reached.
    """
    own = None if anonymous else setup_if_any()
    purpose, action = use
    http = own_http(3 * PATIENCE)
    try:
        through = Management(own.connector, own.key, http) if own else None
        return search(catalogue, text, purpose=purpose, action=action, size=most, http=http, own=through)
    finally:
        http.close()
