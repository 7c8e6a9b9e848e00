"""How a database is opened, refused, and survived."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, text

from connector.adapters import sql_database
from connector.adapters.sql import SqlStores
from connector.adapters.sql_tables import SCHEMA_VERSION
from connector.negotiation.ports import Negotiation
from schemas.errors import Misconfigured, NotFound, StorageUnavailable
from tests.contract.conftest import Open
from tests.store_builders import negotiation, offering, outgoing, record


def test_a_database_of_another_version_is_refused_with_both_versions(
    stores: SqlStores, stores_url: str, open_stores: Open
) -> None:
    with stores.database.write() as connection:
        connection.execute(text("UPDATE hansa_schema SET version = 99"))
    with pytest.raises(Misconfigured, match=f"connector 99.*needs connector {SCHEMA_VERSION}"):
        open_stores()


def test_a_database_of_somebody_else_is_refused(stores: SqlStores, open_stores: Open) -> None:
    with stores.database.write() as connection:
        connection.execute(text("UPDATE hansa_schema SET owner = 'catalog'"))
    with pytest.raises(Misconfigured, match=f"catalog {SCHEMA_VERSION}"):
        open_stores()


def test_many_processes_may_open_an_empty_database_at_once(open_stores: Open) -> None:
    opened: list[SqlStores] = []
    threads = [threading.Thread(target=lambda: opened.append(open_stores())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 6
    opened[0].offerings.put([offering()])
    assert {stores.offerings.count() for stores in opened} == {1}


@pytest.mark.parametrize(
    "url",
    ["mysql://localhost/x", "no url at all", "sqlite://", "sqlite:///:memory:", "postgresql+asyncpg://h/x"],
)
def test_a_database_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"sqlite:////absolute/file\.db or postgresql://"):
        SqlStores(url)


@pytest.mark.postgres
def test_a_process_whose_presence_was_cut_off_announces_itself_again(postgres_url: Callable[[], str]) -> None:
    url = postgres_url()
    one, other = SqlStores(url), SqlStores(url)

    def seen() -> bool:
        with other.database.read() as connection:
            return one.database.owner in other.database.others_alive(connection)

    assert seen()
    with other.database.write() as connection:
        cut = (
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks"
            " WHERE locktype = 'advisory' AND objid = :owner AND objsubid = 2"
        )
        connection.execute(text(cut), {"owner": one.database.owner})
    assert not seen()
    one.database.stay()
    assert seen()
    one.database.stay()
    assert seen(), "announced once more changes nothing"
    one.close()
    other.close()


def test_a_password_is_never_shown() -> None:
    with pytest.raises(StorageUnavailable) as caught:
        SqlStores("postgresql://hansa:open-sesame@127.0.0.1:9/hansa")
    assert "open-sesame" not in str(caught.value)
    with pytest.raises(Misconfigured) as refused:
        SqlStores("oracle://hansa:open-sesame@127.0.0.1:9/hansa")
    assert "open-sesame" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused_unharmed(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear database, " * 100)
    before = file.read_bytes()
    with pytest.raises(StorageUnavailable, match="not a database"):
        SqlStores(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_nobody_else_may_read_the_database_file(tmp_path: Path) -> None:
    stores = SqlStores(f"sqlite:///{tmp_path}/stores.db")
    stores.offerings.put([offering()])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    stores.close()
    assert set(modes.values()) == {0o600}, modes


def test_sqlite_is_durable_and_lets_readers_read_while_one_writes(tmp_path: Path) -> None:
    stores = SqlStores(f"sqlite:///{tmp_path}/stores.db")
    with stores.database.write() as writing:
        assert writing.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert writing.execute(text("PRAGMA synchronous")).scalar() == 2
        assert writing.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert stores.offerings.count() == 0
    stores.close()


def add_all(stores: SqlStores, processes: list[Negotiation]) -> None:
    for process in processes:
        stores.negotiations.add(process, outgoing=[outgoing()], records=[record()])


def test_a_disk_that_is_full_changes_nothing_and_recovers_by_itself(tmp_path: Path) -> None:
    stores = SqlStores(f"sqlite:///{tmp_path}/stores.db")
    stores.offerings.put([offering("urn:before")])
    with stores.database.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()

    def limit(dbapi: sqlite3.Connection, *_: object) -> None:
        dbapi.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(stores.database.engine, "checkout", limit)
    process = negotiation()
    with pytest.raises(StorageUnavailable, match="full"):
        stores.offerings.put([offering(f"urn:{at}") for at in range(500)])
    many = [negotiation() for _ in range(500)]
    with pytest.raises(StorageUnavailable, match="full"):
        add_all(stores, many)
    known = len(stores.negotiations.unfinished())
    assert stores.usage.backlog() == len(stores.outbox.pending()) == known
    assert stores.offerings.count() == 1
    event.remove(stores.database.engine, "checkout", limit)
    event.listen(
        stores.database.engine, "checkout", lambda dbapi, *_: dbapi.execute("PRAGMA max_page_count = 1000000")
    )
    stores.negotiations.add(process, outgoing=[outgoing()], records=[record()])
    assert len(stores.negotiations.unfinished()) == known + 1
    stores.close()


def test_a_writer_that_gets_no_turn_is_told_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_database, "WAIT_SECONDS", 0.05)
    stores = SqlStores(f"sqlite:///{tmp_path}/stores.db")
    with stores.database.write():
        answers: list[str] = []

        def write() -> None:
            try:
                stores.offerings.put([offering()])
            except StorageUnavailable as error:
                answers.append(str(error))

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert "try again later" in answers[0]
    stores.offerings.put([offering()])
    stores.close()


def test_a_path_that_is_a_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="Is a directory"):
        SqlStores(f"sqlite:///{tmp_path}")


def test_a_folder_that_is_missing_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="nowhere"):
        SqlStores(f"sqlite:///{tmp_path}/nowhere/stores.db")


@pytest.mark.postgres
def test_a_server_that_cut_every_connection_is_met_again_by_the_next_call(
    postgres_url: Callable[[], str],
) -> None:
    url = postgres_url()
    stores, killer = SqlStores(url), SqlStores(url)
    stores.offerings.put([offering()])
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with killer.database.read() as connection:
        connection.execute(cut)
    assert stores.offerings.count() == 1
    with pytest.raises(NotFound):
        stores.offerings.get("urn:nowhere")
    stores.close()
    killer.close()
