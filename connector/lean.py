"""Keeping a process lean: hiding packages that others load merely because they are installed."""

from __future__ import annotations

import sys


class _Absent:
    """Says of some packages that they are not there, and nothing of any other."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse a hidden package.

        Raises:
            ModuleNotFoundError: as if it were not installed.
        """
        if name in self._names:
            raise ModuleNotFoundError(f"{name} is not used in this process", name=name)


def hide(*names: str) -> None:
    """Make optional imports of these packages fail in this process, unless they are loaded already.

    For programs only, never for a library: pyarrow.dataset and scikit-learn load pandas where it is
    installed, which costs 60 MB and a second, and servers and the demo's model make no data frames.
    """
    sys.meta_path.insert(0, _Absent(frozenset(names)))
