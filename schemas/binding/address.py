"""Whether an address can be listened on: asked before a server is built, so that it is told in a sentence."""

from __future__ import annotations

import socket

from schemas.errors import Misconfigured


def check_free(host: str, port: int) -> None:
    """Check that an address can be listened on; port 0, which picks a free one, always can.

    Raises:
        Misconfigured: naming the address, what is wrong with it, and what to do.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family is socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        raise Misconfigured(
            f"cannot listen on {host}:{port}: {error.strerror}; set another port, or stop what listens there"
        ) from None
