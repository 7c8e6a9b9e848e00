"""What stands in the log instead of a record: a salted commitment of 33 bytes.

The log can be shown to witnesses and the public, because a commitment says nothing without its salt; a record
can be erased, because a commitment whose salt is gone says nothing to anybody, and the tree stays whole.

The other three kinds of entry are readable and hold no personal data.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest

from schemas.errors import Malformed

RECORD = b"\x01"
SHARD_HEADER = b"\x02"
KEY_EVENT = b"\x03"
ERASURE_NOTICE = b"\x04"

SALT_BYTES = 32
_DOMAIN = b"dsaudit/v1\n"


def commit(record: bytes, salt: bytes) -> bytes:
    """Commit to a record: the entry that goes into the log.

    Args:
        record: The canonical bytes of the record.
        salt: 32 random bytes, new for each record.

    Returns:
        The 33 bytes of the entry.

    Raises:
        Malformed: The salt is not 32 bytes long.
    """
    if len(salt) != SALT_BYTES:
        raise Malformed(f"a salt has {SALT_BYTES} bytes, not {len(salt)}; draw a new one for each record")
    return RECORD + sha256(_DOMAIN + salt + record).digest()


def opens(entry: bytes, record: bytes, salt: bytes) -> bool:
    """Tell whether this record and salt are what the log entry committed to, in constant time."""
    return len(salt) == SALT_BYTES and compare_digest(entry, commit(record, salt))
