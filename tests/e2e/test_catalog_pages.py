"""The pages in a real browser: live search, the dataset page, the keyboard, no JavaScript, strict CSP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

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
        assert taken.json().get("accepted") == 33, taken.text
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


def test_the_answer_follows_the_purpose(page: Page) -> None:
    page.goto("/?q=flights")
    expect(page.get_by_text("after a step")).to_be_visible()
    page.get_by_label("for the purpose of").select_option(label="Scientific research")
    expect(page.get_by_text("yours now")).to_be_visible()
    page.get_by_label("for the purpose of").select_option(label="Marketing")
    expect(page.locator(".answer.no")).to_be_visible()
    assert "purpose=dpv%3AMarketing" in page.url


def test_going_back_shows_the_search_before(page: Page) -> None:
    page.goto("/?q=flights")
    page.get_by_role("link", name="Flights data").click()
    expect(page.get_by_role("heading", level=1, name="Flights data")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Words, a title or an id")).to_have_value("flights")
    expect(page.get_by_role("status").first).to_contain_text("1 dataset")


def test_facets_narrow_and_can_be_taken_away(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Transport").click()
    expect(page.get_by_role("status").first).to_contain_text("1 dataset")
    page.get_by_role("link", name="Remove the filter theme: Transport").click()
    expect(page.get_by_role("status").first).to_contain_text("33 datasets")


def test_a_search_that_finds_nothing_says_what_to_try(page: Page) -> None:
    page.goto("/?q=zeppelin")
    expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
    page.get_by_role("link", name="See all datasets").click()
    expect(page.get_by_role("status").first).to_contain_text("33 datasets")


def test_the_dataset_page_answers_in_order_and_its_line_can_be_copied(page: Page, space: Space) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/datasets/urn%3Ahansa%3Amobility%3Anycflights13-flights")
    assert page.get_by_role("heading", level=2).all_text_contents() == [
        "May I use it?",
        "How do I open it?",
        "What is inside?",
        "What are the terms?",
        "Where does it come from?",
        "How good is the description?",
    ]
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    id = "urn:hansa:mobility:nycflights13-flights"
    assert copied == f'connector.open("{space.url}", "{id}", purpose="ScientificResearch")'
    expect(page.get_by_role("img", name="dep_delay, rows from -43.0 to 1301.0")).to_be_visible()
    expect(page.get_by_text("checked at signing").first).to_be_visible()


def test_the_question_on_the_dataset_page_is_answered(page: Page) -> None:
    page.goto("/datasets/urn%3Ahansa%3Amobility%3Anycflights13-flights")
    page.get_by_label("for the purpose of").select_option(label="Scientific research")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#may").get_by_text("yours now")).to_be_visible()
    page.get_by_label("I want to").select_option("evaluate")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#may .answer.no")).to_be_visible()


def test_foreign_metadata_brings_no_script_and_no_strange_link(page: Page) -> None:
    page.goto("/datasets/urn%3Ahansa%3Alab%3Ahostile")
    expect(page.get_by_role("heading", level=1)).to_have_text("<script>alert(1)</script> Sneaky")
    assert page.locator("a[href^=javascript]").count() == 0
    page.goto("/?q=sneaky")
    expect(page.get_by_role("link", name="<script>alert(1)</script> Sneaky")).to_be_visible()


def test_an_offer_that_cannot_be_read_says_which_word(page: Page) -> None:
    page.goto("/datasets/urn%3Ahansa%3Alab%3Amoon")
    expect(page.get_by_text("The catalogue cannot read this offer.")).to_be_visible()
    expect(page.get_by_text("dx:moonPhase").first).to_be_visible()


def test_everything_works_from_the_keyboard(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Words, a title or an id")).to_be_focused()
    page.keyboard.type("flights")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("1 dataset")
    link = page.get_by_role("link", name="Flights data")
    for _ in range(30):
        page.keyboard.press("Tab")
        if link.evaluate("element => element === document.activeElement"):
            break
    expect(link).to_be_focused()
    outline = link.evaluate("element => getComputedStyle(element).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Flights data")).to_be_visible()


def test_without_javascript_the_same_can_be_done(browser: Browser, space: Space) -> None:
    context = browser.new_context(base_url=space.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Words, a title or an id").fill("flights")
    page.get_by_label("for the purpose of").select_option(label="Scientific research")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("status").first).to_contain_text("1 dataset")
    expect(page.get_by_text("yours now")).to_be_visible()
    page.get_by_role("link", name="Flights data").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Flights data")
    expect(page.locator("#may").get_by_text("yours now")).to_be_visible()
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_hidden()
    page.get_by_text("The figures behind the charts").click()
    expect(page.get_by_role("cell", name="8,255")).to_be_visible()
    context.close()


def test_a_narrow_dark_page_shows_no_horizontal_bar(browser: Browser, space: Space) -> None:
    context = browser.new_context(
        base_url=space.url, viewport={"width": 360, "height": 640}, color_scheme="dark"
    )
    page = context.new_page()
    for path in (
        "/",
        "/participants",
        "/datasets/urn%3Ahansa%3Amobility%3Anycflights13-flights",
        "/?q=zeppelin",
    ):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, space: Space, scheme: Literal["light", "dark"]) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not there; `make assets` fetches it")
    context = browser.new_context(base_url=space.url, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    found: dict[str, list[str]] = {}
    paths = (
        "/",
        "/?q=flights&purpose=dpv%3AMarketing",
        "/?q=zeppelin",
        "/?q=x&purpose=nonsense",
        "/participants",
        "/datasets/urn%3Ahansa%3Amobility%3Anycflights13-flights",
        "/datasets/urn%3Ahansa%3Alab%3Amoon",
        "/datasets/none",
    )
    for path in paths:
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        page.add_script_tag(path=AXE)
        report = page.evaluate("axe.run()")
        told = [f"{item['id']}: {item['nodes'][0]['html'][:160]}" for item in report["violations"]]
        if told:
            found[path] = told
    context.close()
    assert found == {}
