"""A participant's agent in a data space, provider and consumer alike.

An AI developer needs one line: `connector.open(catalogue, dataset, purpose=…)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connector.client.access import open as open

__all__ = ["open"]


def __getattr__(name: str) -> Any:
    """Load `open` when it is first asked for, so that importing the package stays light."""
    if name != "open":
        raise AttributeError(f"module 'connector' has no attribute {name!r}")
    _check_neighbours()
    from connector.client.access import open as opened

    return opened


def _check_neighbours() -> None:
    """Say plainly if a file in the working directory hides one of our packages.

    Raises:
        ImportError: naming both places.
    """
    import policies
    import schemas

    home = Path(__file__).resolve().parent.parent
    for package in (policies, schemas):
        found = Path(str(package.__file__)).resolve().parent.parent
        if found != home:
            raise ImportError(
                f"'{package.__name__}' was loaded from {found}, but connector lives in {home}: "
                f"something called '{package.__name__}' hides ours; rename it, or work in another folder"
            )
