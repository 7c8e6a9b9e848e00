"""Who is at the console: a cookie that the API key vouches for, and a token that only our own pages hold.

The key itself travels once, in the body of the login form. The cookie holds until when it is good, sealed
with a key made from the API key: whoever changes the API key ends every session.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request
from fastapi.responses import Response

from schemas.errors import Forbidden

COOKIE = "hansa-console"
LASTS = timedelta(hours=8)
"""How long a login holds."""


@dataclass(frozen=True)
class Sessions:
    """Makes and checks sessions.

    Args:
        key: the API key.
        clock: UTC, aware.
        nonce: makes a fresh text that was never there before.
        secure: whether the pages are reached by https only.
    """

    key: bytes
    clock: Callable[[], datetime]
    nonce: Callable[[], str]
    secure: bool

    def open(self, response: Response, given: str) -> bool:
        """Let somebody in who shows the key; say whether they did."""
        if not hmac.compare_digest(given.strip().encode(), self.key):
            return False
        until = int((self.clock() + LASTS).timestamp())
        text = f"{until}.{self.nonce()}"
        response.set_cookie(
            COOKIE,
            f"{text}.{self._seal('session', text)}",
            max_age=int(LASTS.total_seconds()),
            path="/console",
            httponly=True,
            samesite="strict",
            secure=self.secure,
        )
        return True

    def close(self, response: Response) -> None:
        """Let go of a session."""
        response.delete_cookie(COOKIE, path="/console", httponly=True, samesite="strict", secure=self.secure)

    def of(self, request: Request) -> str | None:
        """Return the session of a request; None if there is none, or it is over."""
        text, _, seal = request.cookies.get(COOKIE, "").rpartition(".")
        until = text.partition(".")[0]
        sealed = hmac.compare_digest(seal.encode(), self._seal("session", text).encode())
        if not sealed or not until.isdigit() or int(until) <= self.clock().timestamp():
            return None
        return text

    def token(self, session: str) -> str:
        """Return what every form of a session carries, and no other page can know."""
        return self._seal("form", session)

    def check(self, request: Request, session: str, given: str) -> None:
        """Check that a form was sent by a page of ours.

        Raises:
            Forbidden: if it was not.
        """
        check_origin(request)
        if not hmac.compare_digest(given.encode(), self.token(session).encode()):
            raise Forbidden("this form is not of your session any more; load the page again")

    def _seal(self, what: str, text: str) -> str:
        made = hmac.digest(self.key, b"hansa-console-1\x00" + f"{what}\x00{text}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


def check_origin(request: Request) -> None:
    """Refuse a form that another site sent, where the browser says so.

    Raises:
        Forbidden: if it did.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        raise Forbidden("this form came from another site; open the console itself")
