"""Publishes the tables of the three holders, each through its own connector, as their operators would."""

import os
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from connector.client.management import Management
from connector.demo import data, holdings
from schemas.binding.client import Egress, Http

AT_ONCE = 250


def main() -> None:
    """Publish what is not published yet; a second run changes nothing."""
    space = Path(os.environ.get("SPACE", "/space"))
    http = Http(Egress.allowing(("127.0.0.0/8", "::1/128")), timeout=300)
    refused = 0
    for holder in data.HOLDERS:
        folder = space / holder
        settings = tomllib.loads((folder / "hansa.toml").read_text(encoding="utf-8"))
        key = (folder / "state" / "api-key").read_text(encoding="utf-8").strip()
        door = Management(settings["public_url"], key, http)
        mine = [table for table in data.unpacked(folder / "files") if table.holder == holder]
        for first in range(0, len(mine), AT_ONCE):
            chunk = mine[first : first + AT_ONCE]
            now = datetime.now(UTC)
            answered = door.publish([holdings.publication(table, folder / "files", now) for table in chunk])
            refused += len(answered["refused"])
            for item in answered["refused"]:
                sys.stderr.write(f"refused {item['source']}: {item['reason']}\n")
        sys.stdout.write(f"{settings['name']}: {len(mine)} tables\n")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
