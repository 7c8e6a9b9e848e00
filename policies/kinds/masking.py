"""How a cell is masked: the words of `hansa:mask/<column>`, read strictly.

`bucket:10` floors a number to a multiple of ten; `truncate:month` sets a date or timestamp back to the start
of its month; `round:2` keeps two decimal digits, `round:-3` whole thousands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from policies.kinds.values import read_scalar, read_text, shown
from policies.refusals.refusal import refusal
from schemas.errors import PolicyMismatch

REDACTED = "[redacted]"
"""What stands in a redacted cell."""
UNITS = ("year", "quarter", "month", "week", "day", "hour")
"""What a date can be truncated to; a week begins on Monday."""
MOST_DIGITS = 18
"""The most digits that `round` keeps or drops."""


class MaskKind(StrEnum):
    """What is done to a cell, from the least revealing to the most."""

    NULL = "null"
    REDACT = "redact"
    HASH = "hash"
    TRUNCATE = "truncate"
    BUCKET = "bucket"
    ROUND = "round"


MASKS = "'hash', 'null', 'redact', 'bucket:<number>', 'truncate:<unit>' or 'round:<digits>'"
_FORM = re.compile(r"([a-z]+)(?::(.{1,60}))?", re.ASCII)
_DIGITS = re.compile(r"-?\d{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Masking:
    """One mask: a number for `bucket` and `round`, a unit for `truncate`, nothing for the others."""

    kind: MaskKind
    argument: Decimal | str | None = None

    @property
    def text(self) -> str:
        """The mask as it travels, such as `bucket:10`."""
        if self.argument is None:
            return self.kind.value
        argument = format(self.argument, "f") if isinstance(self.argument, Decimal) else self.argument
        return f"{self.kind.value}:{argument}"

    @classmethod
    def read(cls, value: Any, place: str = "mask") -> Masking:
        """Read a mask as it travels.

        Raises:
            Malformed: if it is not text.
            PolicyMismatch: if there is no such mask, or its argument is missing or cannot be.
        """
        said = read_text(value, place)
        found = _FORM.fullmatch(said)
        name, argument = (found[1], found[2]) if found else (said, None)
        if name not in MaskKind._value2member_map_ or not found:
            raise PolicyMismatch(refusal("mask", place=place, said=shown(said), masks=MASKS))
        kind = MaskKind(name)
        return cls(kind, _argument(kind, argument, place))


def _argument(kind: MaskKind, said: str | None, place: str) -> Decimal | str | None:
    match kind:
        case MaskKind.HASH | MaskKind.NULL | MaskKind.REDACT:
            if said is not None:
                raise PolicyMismatch(refusal("mask argument", place=place, kind=kind, said=shown(said)))
            return None
        case MaskKind.TRUNCATE:
            if said not in UNITS:
                raise PolicyMismatch(
                    refusal("mask truncate", place=place, said=shown(said), units=", ".join(UNITS))
                )
            return said
        case MaskKind.BUCKET:
            number = read_scalar({"@value": said or "", "@type": "xsd:decimal"}, f"{place}, bucket")
            if not isinstance(number, Decimal) or number <= 0:
                raise PolicyMismatch(refusal("mask bucket", place=place, said=shown(said)))
            return number
        case MaskKind.ROUND:
            if said is None or not _DIGITS.fullmatch(said) or abs(int(said)) > MOST_DIGITS:
                raise PolicyMismatch(
                    refusal("mask round", place=place, said=shown(said), most_digits=MOST_DIGITS)
                )
            return Decimal(int(said))
