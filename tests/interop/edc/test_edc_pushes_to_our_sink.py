"""EDC's own data plane pushes to the sink that our request names; nobody rewrites anything on the way."""

from __future__ import annotations

import pytest

from tests.interop.edc.conftest import Store, Trade
from tests.interop.edc.ours import await_true
from tests.interop.edc.test_edc_provides import agree, offered

pytestmark = [pytest.mark.interop, pytest.mark.e2e]


def test_what_edc_pushes_lands_in_our_folder_and_is_shown_with_the_transfer(
    trade: Trade, store: Store
) -> None:
    pid = trade.ours.transfer(agree(trade, offered(trade, store, "landed")), "HttpData-PUSH")
    done = trade.ours.await_transfer(pid, "COMPLETED")
    trade.asked.await_transfer(done["counterPid"], "COMPLETED", "DEPROVISIONED")
    shown = await_true(
        lambda: trade.ours.management.get(f"/transfers/{pid}").get("received"), "the pushed file"
    )
    file = trade.ours.folder / "state" / "received" / shown["file"]
    assert file.read_bytes() == store.content
    assert (shown["bytes"], shown["rows"], file.suffix) == (len(store.content), None, ".bin")
