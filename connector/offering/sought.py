"""Pure: which offerings somebody looks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sought:
    """Which offerings are sought: those that fit all that is given; a member that is None asks nothing.

    Of `text` every word occurs, whatever its case. The id is one of `ids`, and fits the pattern `like`, in
    which `%` stands for any text, `_` for any one character, and every other character for itself.
    """

    text: str | None = None
    ids: tuple[str, ...] | None = None
    like: str | None = None


ALL = Sought()
