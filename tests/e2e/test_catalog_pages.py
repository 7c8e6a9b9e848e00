"""The pages in a real browser: live search, the dataset page, the keyboard, no JavaScript, strict CSP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from schemas.vocab import DATA_THEME
from tests.catalog_space import Provider, Space, dataset, flights, offer, running_catalogue, serving

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

CHROMIUM = "/usr/bin/chromium"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is not there; install Debian's chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    provider = Provider()
    member = provider.member("provider", name="Mobility Operator")
    folder = tmp_path_factory.mktemp("catalogue")
    with serving(provider.app(), provider.port), running_catalogue(folder, member) as running:
        others = [
            dataset(
                f"urn:hansa:lab:table-{number}",
                f"Table {number} of a survey",
                **{"dcat:theme": [{"@id": DATA_THEME + "SOCI"}], "dct:description": "Answers of people."},
            )
            for number in range(30)
        ]
        foreign = dataset(
            "urn:hansa:lab:moon",
            "Moon phases",
            hasPolicy=[offer({"leftOperand": "dx:moonPhase", "operator": "eq", "rightOperand": "full"})],
        )
        hostile = dataset(
            "urn:hansa:lab:hostile",
            "<script>alert(1)</script> Sneaky",
            **{
                "dct:description": '"><img src=x onerror=alert(1)>',
                "dcat:landingPage": {"@id": "javascript:alert(1)"},
            },
        )
        taken = running.push(provider, [flights(), foreign, hostile, *others])
        assert taken.json()["accepted"] == 33, taken.text
        yield running


@pytest.fixture
def page(browser: Browser, space: Space) -> Iterator[Page]:
    context = browser.new_context(base_url=space.url)
    opened = context.new_page()
    said: list[str] = []
    opened.on(
        "console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None
    )
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    # A page that breaks its own content policy, or misses a file, says so here.
    assert said == []


def test_results_follow_the_typing_and_the_address_keeps_the_search(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("status").first).to_contain_text("33 datasets")
    page.get_by_label("Words, a title or an id").press_sequentially("flights")
    expect(page.get_by_role("status").first).to_contain_text("1 dataset")
    expect(page.get_by_role("link", name="Flights data")).to_be_visible()
    assert "q=flights" in page.url
