"""The console's page of agreements in a real browser: what stands, what is owed, and how it is ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from connector.client.find import search
from connector.client.management import quoted
from schemas.errors import PeerRefused
from schemas.vocab import HANSA
from tests.e2e.conftest import Town, await_true
from tests.e2e.test_console import AXE, Desk, _violations, browser, sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
__all__ = ["browser"]  # the fixture


def term(operand: str, operator: str, value: Any) -> dict[str, Any]:
    return {"leftOperand": operand, "operator": operator, "rightOperand": value}


OFFERS: dict[str, dict[str, Any]] = {
    "Capped": {"permission": [{"action": "use", "constraint": [term(HANSA + "rowCount", "lteq", 1500)]}]},
    "Announced": {
        "permission": [
            {
                "action": "use",
                "constraint": [
                    term(HANSA + "revocable", "eq", "true"),
                    term(HANSA + "notice", "eq", "P14D"),
                ],
            }
        ]
    },
    "Indebted": {
        "permission": [{"action": "use"}],
        "obligation": [{"action": "delete", "constraint": [term("odrl:delayPeriod", "lteq", "PT1S")]}],
    },
}


@dataclass
class Office:
    """The lab's console, and the agreements of this test, by the title of their dataset."""

    town: Town
    desk: Desk
    datasets: dict[str, str]
    agreements: dict[str, str]

    def page(self, browser: Browser, **options: Any) -> tuple[BrowserContext, Page]:
        """Sign in, and open the page."""
        context = browser.new_context(base_url=self.desk.url, **{"locale": "en-GB", **options})
        page = sign_in(context, self.desk)
        page.get_by_role("link", name="Agreements").click()
        expect(page.get_by_role("heading", level=1, name="Agreements")).to_be_visible()
        return context, page

    def state(self, title: str) -> dict[str, Any]:
        """An agreement as the management door shows it."""
        held = self.town.space.management("lab").get("/agreements")["agreements"]
        return next(one for one in held if one["id"] == self.agreements[title])


_NUMBERS = count(1)
"""Each test has datasets of its own: what the one before withdrew is on its way to the catalogue still."""


def _is_found(town: Town, title: str, id: str) -> bool:
    return any(hit["id"] == id for hit in search(town.catalogue, title)["hits"])


@pytest.fixture
def office(running_town: Town) -> Iterator[Office]:
    lab = running_town.space.participants["lab"]
    desk = Desk(lab.url, running_town.space.api_key("lab"), Path(lab.folder))
    door = running_town.space.management("lab")
    made = Office(running_town, desk, {}, {})
    for number, (title, offer) in enumerate(OFFERS.items()):
        source = running_town.data / "lab" / f"{title}-{next(_NUMBERS)}.parquet"
        source.write_bytes((running_town.data / "lab" / f"series{number}.parquet").read_bytes())
        told = door.publish([{"source": source.name, "title": title, "offer": offer}])
        (id,) = told["published"]
        made.datasets[title] = id
        await_true(partial(_is_found, running_town, title, id), f"{id} in the catalogue")
        with running_town.open(made.datasets[title], action="evaluate", renegotiate=True) as stream:
            stream.read_all()
            made.agreements[title] = stream.agreement
    yield made
    for dataset in made.datasets.values():
        door.delete(f"/offers/{quoted(dataset)}")


def test_who_reads_what_and_what_is_owed_is_shown(browser: Browser, office: Office) -> None:
    owed = office.agreements["Indebted"]
    await_true(lambda: _overdue(office), "the deletion to be overdue")
    context, page = office.page(browser)
    capped = page.locator(f"[id='{office.agreements['Capped']}']")
    expect(capped.locator(".answer")).to_have_text("stands")
    expect(capped.get_by_text("10 of 1,500")).to_be_visible()
    expect(capped.get_by_text("1,490 more rows may be released.")).to_be_visible()
    capped.get_by_text("What was agreed").click()
    expect(capped.locator(".label.enforced-here").first).to_be_visible()
    resting = page.locator(f"[id='{owed}']")
    expect(resting.locator(".answer")).to_have_text("rests")
    expect(resting.get_by_text("send the receipt")).to_be_visible()
    expect(resting.get_by_text("The use is permitted.")).to_have_count(0)
    row = page.get_by_role("row").filter(has=page.get_by_title(owed))
    expect(row.locator(".answer")).to_have_text("overdue")
    expect(row).to_contain_text("delete the data")
    expect(row).to_contain_text("transfers rest until the receipt comes")
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("heading", level=1, name="Vereinbarungen")).to_be_visible()
    expect(page.locator(f"[id='{owed}'] .answer")).to_have_text("ruht")
    page.get_by_role("link", name="Regeln schreiben").click()
    expect(page.get_by_role("heading", level=1, name="Regeln schreiben")).to_be_visible()
    context.close()


def _overdue(office: Office) -> bool:
    owed = office.town.space.management("lab").get("/obligations")["owedToUs"]
    return any(
        one["agreement"] == office.agreements["Indebted"] and one["stage"] == "overdue" for one in owed
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_an_agreement_is_revoked_with_its_notice_and_in_an_emergency(
    browser: Browser, office: Office, scripts: bool
) -> None:
    context, page = office.page(browser, java_script_enabled=scripts)
    announced = page.locator(f"[id='{office.agreements['Announced']}']")
    announced.get_by_text("Revoke this agreement").click()
    expect(announced.get_by_text("after the notice that was agreed: 14 days.")).to_be_visible()
    announced.get_by_label("Reason").fill("The study is over")
    announced.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The agreement ends after its notice.")).to_be_visible()
    expect(announced.locator(".answer")).to_have_text("ends soon")
    expect(announced.get_by_text("The study is over")).to_be_visible()
    assert office.state("Announced")["state"] == "final"
    announced.get_by_text("Revoke this agreement").click()
    announced.get_by_label("Reason").fill("Persons can be told")
    announced.get_by_label("Emergency").fill("they complained")
    announced.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The agreement has ended.")).to_be_visible()
    expect(announced.locator(".answer")).to_have_text("ended")
    expect(announced.get_by_text("Revoke this agreement")).to_have_count(0)
    assert office.state("Announced")["revoked"] == "Persons can be told (emergency: they complained)"
    with pytest.raises(PeerRefused, match=r"the agreement was revoked.*renegotiate=True"):
        office.town.open(office.datasets["Announced"], action="evaluate", start=1).read_all()
    context.close()


def test_it_works_from_the_keyboard_and_on_a_narrow_dark_page(browser: Browser, office: Office) -> None:
    context, page = office.page(browser, viewport={"width": 360, "height": 800}, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    capped = page.locator(f"[id='{office.agreements['Capped']}']")
    capped.locator("summary", has_text="Revoke this agreement").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(capped.get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the browser asks for the reason; nothing is sent
    expect(capped.get_by_label("Reason")).to_be_focused()
    assert office.state("Capped")["revoked"] is None
    page.keyboard.type("No longer offered")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The agreement has ended.")).to_be_visible()
    assert office.state("Capped")["revoked"] == "No longer offered"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_here_either(
    browser: Browser, office: Office, scheme: Literal["light", "dark"]
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not there; `make assets` fetches it")
    context, page = office.page(browser, color_scheme=scheme, bypass_csp=True)
    assert _violations(page) == []
    context.close()


def test_what_is_refused_changes_nothing_and_keeps_what_was_typed(office: Office) -> None:
    with httpx2.Client(base_url=office.desk.url) as http:
        assert http.get("/console/agreements").status_code == 303
        http.post("/console/login", data={"key": office.desk.key})
        form = {"agreement": office.agreements["Capped"], "reason": "typed"}
        assert http.post("/console/agreements", data=form).status_code == 403
        shown = http.get("/console/agreements").text
        form["csrf"] = shown.partition('name="csrf" value="')[2].partition('"')[0]
        crossed = {"Sec-Fetch-Site": "cross-site"}
        assert http.post("/console/agreements", data=form, headers=crossed).status_code == 403
        empty = http.post("/console/agreements", data=form | {"reason": " "})
        assert empty.status_code == 400
        assert "give a reason" in empty.text
        long = http.post("/console/agreements", data=form | {"reason": "<b>" + "x" * 300})
        assert "write at most 200" in long.text
        assert "&lt;b&gt;xxx" in long.text
        lost = http.post("/console/agreements", data=form | {"agreement": "urn:nobody's"})
        assert lost.status_code == 400
        assert office.state("Capped")["revoked"] is None
