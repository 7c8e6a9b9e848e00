"""Pure: how a message becomes something to be sent, and what becomes of foreign text on its way in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from connector.outbox.ports import DSP_KINDS, Kind, Outgoing, Process
from schemas.base import CodeMessage, Message
from schemas.binding.paths import join, path_for
from schemas.errors import Malformed
from schemas.worded import Worded, read_told, told_text, worded

PATIENCE = timedelta(minutes=15)
"""How long a message is tried before its process is given up."""

LOST = timedelta(days=7)
"""How long a counterparty that cannot be reached is asked where a process stands, before it is given up."""

MOST_ID = 512
"""Bytes of an identifier that a peer chose."""
MOST_REASONS = 8
MOST_REASON = 400
"""Reasons that a peer gave, and characters of each."""
MOST_SEEN = 32
"""Message ids remembered by a process; a repeat follows its original closely."""


def letter(message: Message, process: Process, kind: Kind, at: datetime, patience: timedelta) -> Outgoing:
    """Address a message to the counterparty of a process.

    Args:
        message: with its `@id`, which becomes the id of the outgoing message.
        process: whose messages leave in order; without a counterparty's process id, the message opens one.
        kind: the room that is told what became of it.
        at: now.
        patience: how long it is tried.

    Raises:
        Malformed: if the message has no `@id`, or no path.
    """
    if message.id is None:
        raise Malformed(f"{type(message).__name__} has no '@id'; repeats could not be told apart")
    return Outgoing(
        id=message.id,
        kind=kind,
        process=process.pid,
        recipient=process.counterparty,
        method="POST",
        url=join(process.callback, path_for(message, process.counter_pid)),
        document=message.wire(),
        created=at,
        deadline=at + patience,
        due=at,
    )


def inquiry(process: Process, kind: Kind, path: str, at: datetime) -> Outgoing:
    """Ask a counterparty where a process stands; `path` is where its state is read, with `{pid}`.

    It has one id a process, so that never two of them wait.
    """
    return Outgoing(
        id=f"{process.pid}#standing",
        kind=kind,
        process=process.pid,
        recipient=process.counterparty,
        method="GET",
        url=join(process.callback, path.replace("{pid}", quote(process.counter_pid or "", safe=":"))),
        document={"@type": "A question", "consumerPid": "", "providerPid": ""},
        created=at,
        deadline=at + LOST,
        due=at,
    )


def failed(outgoing: Outgoing, problem: str) -> str:
    """Say in a line what became of a message that was given up."""
    fate = "answered" if outgoing.method == "GET" else "taken"
    return f"{outgoing.document.get('@type')} not {fate}: {shorten(problem)}"


def unnamed(outgoing: Outgoing) -> frozenset[str]:
    """Return the members that an answer has to hold: process ids that we could not name, or a stage."""
    if outgoing.kind == "receipt":
        return frozenset({"stage"})  # whoever answers without it has entered nothing
    if outgoing.kind not in DSP_KINDS:
        return frozenset()
    return frozenset({"consumerPid", "providerPid"} - outgoing.document.keys())


def names(answer: Any, members: frozenset[str]) -> bool:
    """Return whether an answer to a first message holds the process ids that we wait for."""
    if not members:
        return True
    return isinstance(answer, dict) and all(
        isinstance(answer.get(member), str) and _is_kept(answer[member]) for member in members
    )


def _is_kept(value: str) -> bool:
    try:
        bounded("your process id", value)
    except Malformed:
        return False
    return True


def bounded(name: str, value: str) -> str:
    """Return an identifier that a peer chose, if it is short enough to be kept and logged.

    Raises:
        Malformed: naming the member and both sizes.
    """
    size = len(json.dumps(value, ensure_ascii=False).encode(errors="replace")) - 2
    if not 0 < size <= MOST_ID:
        raise Malformed(f"{name} of {size} bytes; expected 1 to {MOST_ID}")
    if not value.isprintable():
        raise Malformed(f"{name} holds characters that cannot be printed: {value[:60]!r}")
    if value in (".", ".."):
        # It becomes a step of a path, and would lead to another place below the same host.
        raise Malformed(f"{name} is {value!r}, which no path can hold as a name; use another id")
    return value


def checked_callback(url: str | None) -> str:
    """Return a base URL that a peer gave; whether we may connect to it is the egress guard's to say.

    Raises:
        Malformed: if it is not an http(s) URL.
    """
    try:
        parts = urlsplit(url or "")
        fits = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and not parts.query
            and not parts.fragment
        )
    except ValueError:
        fits = False
    if not fits:
        raise Malformed(f"callbackAddress {str(url)[:120]!r} is not an http(s) base URL")
    return str(url)


def heard_reasons(message: CodeMessage) -> tuple[str, ...]:
    """Return the reasons that a peer gave, with what they carry as far as it is short enough to be kept."""
    texts = readable(message.reason)
    return worded(texts, read_told(message.told, len(texts)))


def said_reasons(reasons: Sequence[str]) -> dict[str, Any]:
    """Return the members of a message that give these reasons."""
    return {"reason": tuple(map(str, reasons)), "told": told_text(reasons)}


def readable(reasons: Sequence[Any]) -> tuple[str, ...]:
    """Return the reasons that a peer gave (any JSON) as short texts."""
    texts = []
    for reason in reasons[:MOST_REASONS]:
        said = reason.get("@value", reason) if isinstance(reason, dict) else reason
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, default=str)
        texts.append(shorten(text))
    return tuple(texts)


def shorten(text: str, most: int = MOST_REASON) -> str:
    """Return a text on one line and of at most `most` characters."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    short = line if len(line) <= most else line[: most - 1] + "…"
    return Worded(short, text.told) if isinstance(text, Worded) else short


def loggable(reasons: Sequence[str]) -> tuple[str, ...]:
    """Return the first reasons, short enough for a record of the usage log (4 KiB in all)."""
    return tuple(shorten(reason, 120) for reason in reasons[:3])


def remember(seen: tuple[str, ...], message_id: str | None) -> tuple[str, ...]:
    """Return the message ids to remember after one more."""
    return seen if message_id is None else (*seen, message_id)[-MOST_SEEN:]
