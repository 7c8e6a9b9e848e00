"""A stream as the frames and loaders that people train with; each library is loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from connector.client.stream import DataStream
from schemas.errors import Misconfigured


def _library(name: str, package: str | None = None) -> Any:
    """Load a library.

    Raises:
        Misconfigured: saying how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Misconfigured(f"this needs the library {name!r}: pip install {package or name}") from None


def to_polars(stream: DataStream) -> Any:
    """Read all rows into a Polars data frame, without copying them again."""
    return _library("polars").DataFrame(stream.read_all())


def to_pandas(stream: DataStream) -> Any:
    """Read all rows into a pandas data frame."""
    _library("pandas")
    return stream.read_all().to_pandas()


def to_torch(stream: DataStream) -> Any:
    """Return a PyTorch IterableDataset of rows; its state_dict makes it resumable to the row.

    Each row is a dict of column name to Python value. One worker: several would each read everything.

    Raises:
        Misconfigured: if PyTorch is not installed, or a loader runs it in several workers.
    """
    data: Any = _library("torch.utils.data", "torch")
    base: type[Any] = data.IterableDataset

    class Rows(base):  # type: ignore[misc]  # the base is known only once PyTorch is loaded
        """Rows of a stream, one at a time."""

        def __init__(self) -> None:
            self._state: dict[str, Any] | None = None

        def __iter__(self) -> Iterator[dict[str, Any]]:
            worker = data.get_worker_info()
            if worker is not None and worker.num_workers > 1:
                raise Misconfigured(
                    f"{worker.num_workers} workers would each read every row; use num_workers=0 or 1"
                )
            return self._rows()

        def _rows(self) -> Iterator[dict[str, Any]]:
            for batch in stream:
                first = stream.position - batch.num_rows
                for index, row in enumerate(batch.to_pylist()):
                    self._state = {**stream.state_dict(), "position": first + index + 1}
                    yield row

        def state_dict(self) -> dict[str, Any]:
            """Return where the loader is, to the row."""
            return self._state or stream.state_dict()

        def load_state_dict(self, state: dict[str, Any]) -> None:
            """Go on after the row that the state names."""
            stream.load_state_dict(state)
            self._state = None

    return Rows()


def to_huggingface(stream: DataStream) -> Any:
    """Return a Hugging Face IterableDataset of rows.

    Raises:
        Misconfigured: if `datasets` is not installed.
    """

    def rows() -> Iterator[dict[str, Any]]:
        for batch in stream:
            yield from batch.to_pylist()

    return _library("datasets").IterableDataset.from_generator(rows)
