"""Looking names up in bounded time: the system's resolver may take as long as a name server likes.

Nobody can end a look-up that hangs. So each has a thread of its own, nobody waits for it longer than a while,
who asks for the same name waits for the same answer, and there are never more than so many.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future

LOOKUP_SECONDS = 8.0
"""How long a name is waited for; the system's resolver asks a server that is silent again after five."""
MOST_LOOKUPS = 256
"""Names that are looked up at a time; those that hang count too."""

Resolve = Callable[[str, int], Iterable[str]]


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of a host name, in the system's order."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _asks_nobody(host: str) -> bool:
    """Return whether no name server is asked: for an address as text, or this machine (RFC 6761)."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Lookups:
    """A Resolve that answers within `seconds`; safe to use from many threads.

    Args:
        look: looks a name up, in whatever time.
        seconds: how long it is waited for.
        most: names that are looked up at a time.
    """

    def __init__(
        self, look: Resolve = resolve_host, *, seconds: float = LOOKUP_SECONDS, most: int = MOST_LOOKUPS
    ) -> None:
        self._look, self._seconds, self._most = look, seconds, most
        self._lock = threading.Lock()
        self._open: dict[tuple[str, int], Future[list[str]]] = {}

    def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host name.

        Raises:
            OSError: if there is no answer in time, too many names are looked up already, or there is none of
                that name.
        """
        if _asks_nobody(host):
            return list(self._look(host, port))
        try:
            return self._asked(host, port).result(self._seconds)
        except TimeoutError:
            raise TimeoutError(f"its name servers did not answer within {self._seconds:g} s") from None

    def _asked(self, host: str, port: int) -> Future[list[str]]:
        name = (host, port)
        with self._lock:
            asked = self._open.get(name)
            if asked is not None:
                return asked
            if len(self._open) >= self._most:
                raise BlockingIOError(
                    f"{self._most} names are being looked up, as many as may; try again soon"
                )
            asked = self._open[name] = Future()
            try:
                threading.Thread(target=self._find, args=(name, asked), name="lookup", daemon=True).start()
            except RuntimeError as error:
                del self._open[name]
                raise BlockingIOError(f"no thread to look it up: {error}") from None
        return asked

    def _find(self, name: tuple[str, int], asked: Future[list[str]]) -> None:
        try:
            found = list(self._look(*name))
        except Exception as error:  # whatever it is, it is told to who asked
            outcome: BaseException | None = error
        else:
            outcome = None
        with self._lock:
            del self._open[name]
        if outcome is None:
            asked.set_result(found)
        else:
            asked.set_exception(outcome)
