"""The policy page of the console in a real browser: by mouse and keyboard, with no JavaScript, attacked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, expect, sync_playwright

from tests.processes import free_ports, serving, write_settings

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


@dataclass
class Desk:
    """A running connector, its key, and the folder of its log."""

    url: str
    key: str
    folder: Path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("console")
    (folder / "data").mkdir()
    people = pa.table(
        {
            "name": [f"Person {number}" for number in range(40)],
            "age": pa.array([number * 2 for number in range(40)], pa.int64()),
            "city": ["Kiel" if number % 2 else None for number in range(40)],
        }
    )
    pq.write_table(people, folder / "data" / "people.parquet")
    (port,) = free_ports(1)
    url = f"http://localhost:{port}"
    settings = {
        "name": "Harbour office",
        "public_url": url,
        "port": port,
        "profile": "test",
        "trust": "edc-mock",
        "data": {"roots": [str(folder / "data")]},
        "egress": {"allow": ["127.0.0.0/8", "::1/128"]},
    }
    config = write_settings(folder / "connector", settings)
    with serving("connector", config, url):
        key = next((folder / "connector").rglob("api-key")).read_text(encoding="utf-8").strip()
        yield Desk(url, key, folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is not there; install Debian's chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield running
        running.close()


def sign_in(context: BrowserContext, desk: Desk) -> Page:
    page = context.new_page()
    page.goto("/console")
    page.get_by_label("API key").fill(desk.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1, name="Write a policy")).to_be_visible()
    return page


@pytest.fixture
def page(browser: Browser, desk: Desk) -> Iterator[Page]:
    context = browser.new_context(base_url=desk.url, locale="en-GB")
    opened = sign_in(context, desk)
    said: list[str] = []
    opened.on(
        "console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None
    )
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    # A page that breaks its own content policy, or misses a file, says so here.
    assert said == []


def reading(page: Page) -> str:
    return page.locator("#reading").inner_text()


def test_a_template_becomes_sentences_with_labels_and_rows(page: Page) -> None:
    page.get_by_label("Data file, or id of a dataset").fill("people.parquet")
    page.get_by_label("Template", exact=True).select_option(label="Research only")
    page.get_by_role("button", name="Use this template").click()
    says = page.locator("section", has=page.get_by_role("heading", name="What it says"))
    expect(says.get_by_text("You may use the data.")).to_be_visible()
    expect(says.locator(".label.enforced-here").first).to_have_text("enforced here")
    expect(page.locator(".answer.no")).to_be_visible()
    expect(page.get_by_text("The smallest changes that would make it pass")).to_be_visible()
    page.get_by_label("for the purpose of").select_option("dpv:AcademicResearch")
    expect(page.locator(".answer.yours")).to_be_visible()
    expect(page.get_by_role("cell", name="Person 0", exact=True)).to_be_visible()
    expect(page.get_by_text("More rows follow.")).to_be_visible()


def test_rules_are_built_from_the_table_of_terms_and_read_back_live(page: Page) -> None:
    page.get_by_label("Data file, or id of a dataset").fill("people.parquet")
    page.get_by_role("button", name="Add a permission").click()
    expect(page.get_by_text("You may use the data.").first).to_be_visible()
    page.get_by_role("button", name="Add a term: Permission 1").click()
    row = page.get_by_role("group", name="Permission 1, Term 1")
    row.get_by_label("Term", exact=True).select_option(value="https://w3id.org/hansa/policy/1#column/")
    row.get_by_label("Column").fill("age")
    row.get_by_label("Operator").select_option("gteq")
    row.get_by_label("Value").fill("60")
    row.get_by_label("Value").press("Tab")
    expect(page.locator("#reading").get_by_text("'age' is at least 60").first).to_be_visible()
    expect(page.get_by_role("cell", name="Person 30", exact=True)).to_be_visible()
    assert page.get_by_role("cell", name="Person 2", exact=True).count() == 0
    page.get_by_role("button", name="Add a term: Permission 1").click()
    mask = page.get_by_role("group", name="Permission 1, Term 2")
    mask.get_by_label("Term", exact=True).select_option(value="https://w3id.org/hansa/policy/1#mask/")
    mask.get_by_label("Column").fill("name")
    mask.get_by_label("Value").fill("null")
    mask.get_by_label("Value").press("Tab")
    expect(page.locator("#reading").get_by_text("with 'name' left empty").first).to_be_visible()
    expect(page.get_by_role("cell", name="Person 30", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Remove this term: Permission 1, 2").click()
    expect(page.get_by_role("cell", name="Person 30", exact=True)).to_be_visible()


def test_what_cannot_be_kept_is_named_with_its_place_and_what_is_entered_stays(page: Page) -> None:
    page.get_by_label("Data file, or id of a dataset").fill("people.parquet")
    page.get_by_role("button", name="Add a permission").click()
    page.get_by_role("button", name="Add a term: Permission 1").click()
    row = page.get_by_role("group", name="Permission 1, Term 1")
    row.get_by_label("Term", exact=True).select_option(value="https://w3id.org/hansa/policy/1#columns")
    row.get_by_label("Value").fill("name, salary")
    row.get_by_label("Value").press("Tab")
    problem = page.locator("#reading .problem")
    expect(problem).to_contain_text("permission[0].constraint[0] names column 'salary'")
    expect(problem).to_contain_text("'age'")
    expect(row.get_by_label("Value")).to_have_value("name, salary")


def test_the_page_speaks_german_and_keeps_the_draft(page: Page) -> None:
    page.get_by_role("button", name="Add a permission").click()
    expect(page.get_by_text("You may use the data.")).to_be_visible()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", level=1, name="Regeln schreiben")).to_be_visible()
    expect(page.get_by_text("Sie dürfen die Daten nutzen.")).to_be_visible()
    expect(page.locator("#reading .terms .label")).to_have_text("hier durchgesetzt")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_text("You may use the data.")).to_be_visible()


def test_what_is_typed_while_an_answer_is_on_its_way_stays(page: Page) -> None:
    held: list[Route] = []
    page.route("**/console/policy", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/console/policy"):
        page.get_by_role("button", name="Add a permission").click()
    page.get_by_label("Title of the dataset").fill("A title typed meanwhile")
    held[0].continue_()
    expect(page.get_by_text("You may use the data.")).to_be_visible()
    expect(page.get_by_label("Title of the dataset")).to_have_value("A title typed meanwhile")


def test_nothing_pressed_or_typed_while_an_answer_is_on_its_way_is_lost(page: Page) -> None:
    page.clock.install()
    held: list[Route] = []
    page.route("**/console/policy", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/console/policy"):
        page.get_by_role("button", name="Add a permission").click()
    page.get_by_role("button", name="Add a prohibition").click()
    page.get_by_label("Title of the dataset").fill("A title")
    with page.expect_event("requestfinished"):
        page.get_by_label("Title of the dataset").press("Tab")  # a change, which waits as well
        page.clock.run_for(300)  # longer than the page waits before it sends a change
        page.get_by_label("Data file, or id of a dataset").fill("people.parquet")
        held[0].continue_()
    expect(page.get_by_role("region", name="Permission 1")).to_be_visible()
    expect(page.get_by_role("region", name="Prohibition 1")).to_be_visible()
    expect(page.get_by_text("You may not use the data.", exact=True)).to_be_visible()
    expect(page.get_by_label("Title of the dataset")).to_have_value("A title")
    expect(page.get_by_label("Data file, or id of a dataset")).to_have_value("people.parquet")


def test_what_is_pressed_twice_in_haste_removes_one(page: Page) -> None:
    for _ in range(3):
        page.get_by_role("button", name="Add a permission").click()
    expect(page.get_by_role("region", name="Permission 3")).to_be_visible()
    page.get_by_role("button", name="Remove this rule: Permission 1").dblclick()
    expect(page.get_by_role("region", name="Permission 3")).not_to_be_visible()
    page.get_by_role("button", name="Add a prohibition").click()
    expect(page.get_by_role("region", name="Prohibition 1")).to_be_visible()
    expect(page.get_by_role("region", name="Permission 2")).to_be_visible()


def test_what_was_opened_stays_open(page: Page) -> None:
    page.get_by_text("What the labels mean").click()
    page.get_by_role("button", name="Add a permission").click()
    expect(page.get_by_text("You may use the data.")).to_be_visible()
    expect(page.get_by_text("this connector keeps it, in what it sends and when")).to_be_visible()


def test_what_stands_below_a_removed_term_moves_up_whole(page: Page) -> None:
    page.get_by_role("button", name="Add a permission").click()
    for number, (term, value) in enumerate((("rowCount", "11"), ("byteCount", "22")), 1):
        page.get_by_role("button", name="Add a term: Permission 1").click()
        row = page.get_by_role("group", name=f"Permission 1, Term {number}")
        row.get_by_label("Term", exact=True).select_option(value=f"https://w3id.org/hansa/policy/1#{term}")
        row.get_by_label("Value").fill(value)
        row.get_by_label("Value").press("Tab")
        expect(page.locator("#reading").get_by_text(f"at most {value}").first).to_be_visible()
    page.get_by_role("button", name="Remove this term: Permission 1, 1").click()
    expect(page.locator("#reading").get_by_text("at most 11")).to_have_count(0)
    left = page.get_by_role("group", name="Permission 1, Term 1")
    expect(left.get_by_label("Value")).to_have_value("22")
    expect(left.get_by_label("Term", exact=True)).to_have_value("https://w3id.org/hansa/policy/1#byteCount")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#reading").get_by_text("at most 22 bytes")).to_be_visible()


def test_contradictions_and_times_without_a_zone_are_told(page: Page) -> None:
    page.get_by_role("button", name="Add a permission").click()
    page.get_by_role("button", name="Add a prohibition").click()
    expect(page.get_by_text("Contradictions")).to_be_visible()
    page.get_by_role("button", name="Remove this rule: Prohibition 1").click()
    expect(page.get_by_text("Contradictions")).to_have_count(0)
    page.get_by_role("button", name="Add a term: Permission 1").click()
    row = page.get_by_role("group", name="Permission 1, Term 1")
    row.get_by_label("Term", exact=True).select_option(value="http://www.w3.org/ns/odrl/2/dateTime")
    row.get_by_label("Value").fill("2031-01-01T00:00")
    row.get_by_label("Value").press("Tab")
    expect(page.get_by_text("Look at this")).to_be_visible()
    warning = page.locator("#reading .warning li")
    expect(warning).to_contain_text("names no time zone")
    page.get_by_role("button", name="Deutsch").click()
    expect(warning).to_contain_text("nennt keine Zeitzone und gilt als UTC")
    expect(warning).to_have_attribute("lang", "de")
    page.get_by_role("button", name="Verbot hinzufügen").click()
    expect(page.locator("#reading .problem li")).to_contain_text("ist durch prohibition[0] immer verboten")


def test_a_refusal_is_told_in_the_language_of_the_page(page: Page) -> None:
    page.get_by_role("button", name="Deutsch").click()
    page.get_by_role("button", name="Erlaubnis hinzufügen").click()
    page.get_by_role("button", name="Bedingung hinzufügen").first.click()
    page.locator("select[name=r0c0-operand]").select_option(value="http://www.w3.org/ns/odrl/2/dateTime")
    page.locator("input[name=r0c0-value]").fill("bald")
    page.locator("input[name=r0c0-value]").press("Tab")
    problem = page.locator("#reading .problem span")
    expect(problem).to_contain_text("ist kein Zeitpunkt; schreiben Sie zum Beispiel")
    expect(problem).to_have_attribute("lang", "de")


def test_a_dataset_is_published_from_the_page_and_named(page: Page, desk: Desk) -> None:
    page.get_by_label("Data file, or id of a dataset").fill("people.parquet")
    page.get_by_label("Template", exact=True).select_option(label="Open training")
    page.get_by_role("button", name="Use this template").click()
    page.get_by_role("button", name="Publish with this policy").click()
    expect(page.get_by_text("give the dataset a title")).to_be_visible()
    page.clock.install()
    page.get_by_label("Title of the dataset").fill("People of the harbour")
    page.get_by_role("button", name="Publish with this policy").click()
    expect(page.get_by_role("status").get_by_text("Published.")).to_be_visible()
    page.clock.run_for(500)  # longer than the page waits with what a left field has to say
    expect(page.get_by_role("status").get_by_text("Published.")).to_be_visible()
    told = httpx2.get(f"{desk.url}/management/offers", headers={"Authorization": f"Bearer {desk.key}"}).json()
    assert [one["dct:title"] for one in told["datasets"]] == ["People of the harbour"], told


def test_everything_works_from_the_keyboard(browser: Browser, desk: Desk) -> None:
    context = browser.new_context(base_url=desk.url, locale="en-GB")
    page = context.new_page()
    page.goto("/console/login")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.get_by_label("API key").focus()
    page.keyboard.type(desk.key)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Data file, or id of a dataset")).to_be_visible()

    def tab_to(name: str, role: Literal["button", "textbox", "combobox"]) -> None:
        wanted = page.get_by_role(role, name=name, exact=True)
        for _ in range(60):
            page.keyboard.press("Tab")
            if wanted.count() and wanted.evaluate("element => element === document.activeElement"):
                assert wanted.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
                return
        pytest.fail(f"{name!r} cannot be reached by the Tab key")

    tab_to("Data file, or id of a dataset", "combobox")
    page.keyboard.type("people.parquet")
    tab_to("Add a permission", "button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You may use the data.").first).to_be_visible()
    tab_to("Add a term: Permission 1", "button")
    page.keyboard.press("Space")
    expect(page.get_by_role("group", name="Permission 1, Term 1")).to_be_visible()
    context.close()


def test_without_javascript_the_same_can_be_done(browser: Browser, desk: Desk) -> None:
    context = browser.new_context(base_url=desk.url, locale="en-GB", java_script_enabled=False)
    page = sign_in(context, desk)
    page.get_by_label("Data file, or id of a dataset").fill("people.parquet")
    page.get_by_role("button", name="Add a permission").click()
    page.get_by_role("button", name="Add a term: Permission 1").click()
    row = page.get_by_role("group", name="Permission 1, Term 1")
    row.get_by_label("Term", exact=True).select_option(value="https://w3id.org/hansa/policy/1#columns")
    page.get_by_role("button", name="Try it").click()
    row.get_by_label("Value").fill("age")
    row.get_by_label("Value").press("Enter")
    expect(page.get_by_text("You receive only the columns 'age'.")).to_be_visible()
    expect(page.get_by_role("columnheader", name=re.compile("age"))).to_be_visible()
    assert page.get_by_role("columnheader", name=re.compile("name")).count() == 0
    page.get_by_label("Template", exact=True).select_option(label="Statistics only")
    page.get_by_role("button", name="Show what it asks for").click()
    page.get_by_label("how large a group must be").fill("12")
    page.get_by_role("button", name="Use this template").click()
    expect(page.get_by_text("groups of at least 12 rows").first).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/console/policy")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_hostile_column_names_and_cells_are_text(browser: Browser, desk: Desk) -> None:
    hostile = {"<script>alert(1)</script>": ['"><img src=x onerror=alert(1)>']}
    pq.write_table(pa.table(hostile), desk.folder / "data" / "hostile.parquet")
    context = browser.new_context(base_url=desk.url, locale="en-GB")
    page = sign_in(context, desk)
    alarms: list[str] = []

    def alarm(dialog: Dialog) -> None:
        alarms.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", alarm)
    page.get_by_label("Data file, or id of a dataset").fill("hostile.parquet")
    page.get_by_role("button", name="Add a permission").click()
    expect(page.get_by_role("cell", name='"><img src=x onerror=alert(1)>')).to_be_visible()
    assert page.locator("#reading img").count() == 0
    assert alarms == []
    context.close()


def test_a_narrow_dark_page_shows_no_horizontal_bar(browser: Browser, desk: Desk) -> None:
    context = browser.new_context(
        base_url=desk.url, locale="de-DE", viewport={"width": 360, "height": 640}, color_scheme="dark"
    )
    page = context.new_page()
    page.goto("/console/login")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("API-Schlüssel").fill(desk.key)
    page.get_by_role("button", name="Anmelden").click()
    page.get_by_label("Datei oder Kennung eines Datensatzes").fill("people.parquet")
    page.get_by_role("button", name="Erlaubnis hinzufügen").click()
    expect(page.get_by_role("cell", name="Person 0", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, desk: Desk, scheme: Literal["light", "dark"]) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not there; `make assets` fetches it")
    context = browser.new_context(base_url=desk.url, locale="en-GB", color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto("/console/login")
    found = {"login": _violations(page)}
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("That is not the key")).to_be_visible()
    found["wrong key"] = _violations(page)
    page.get_by_label("API key").fill(desk.key)
    page.get_by_role("button", name="Sign in").click()
    found["empty"] = _violations(page)
    page.get_by_label("Data file, or id of a dataset").fill("people.parquet")
    page.get_by_label("Template", exact=True).select_option(label="Research only")
    page.get_by_role("button", name="Use this template").click()
    expect(page.locator(".answer.no")).to_be_visible()
    found["denied"] = _violations(page)
    page.get_by_label("for the purpose of").select_option("dpv:AcademicResearch")
    expect(page.locator(".answer.yours")).to_be_visible()
    page.get_by_role("button", name="Add a term: Permission 1").click()
    found["rows"] = _violations(page)
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", level=1, name="Regeln schreiben")).to_be_visible()
    found["German"] = _violations(page)
    context.close()
    assert {name: told for name, told in found.items() if told} == {}


def _violations(page: Page) -> list[str]:
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    page.add_script_tag(path=AXE)
    report = page.evaluate("axe.run()")
    return [f"{item['id']}: {item['nodes'][0]['html'][:160]}" for item in report["violations"]]


# --- over plain HTTP: who is let in, and what is refused ---------------------------------------------------


def fields(text: str) -> dict[str, str]:
    return dict(re.findall(r'name="(csrf|lang)" value="([^"]*)"', text))


@pytest.fixture
def http(desk: Desk) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=desk.url, follow_redirects=False) as client:
        yield client


def test_nobody_sees_a_page_without_the_key(http: httpx2.Client) -> None:
    for method in ("GET", "POST"):
        reply = http.request(method, "/console/policy")
        assert (reply.status_code, reply.headers["location"]) == (303, "/console/login")
    wrong = http.post("/console/login", data={"key": "guess"})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    forged = http.get("/console/policy", headers={"Cookie": "hansa-console=9999999999.x.AAAA"})
    assert forged.status_code == 303


def test_the_cookie_is_out_of_reach_and_the_key_is_nowhere(http: httpx2.Client, desk: Desk) -> None:
    entered = http.post("/console/login", data={"key": desk.key})
    cookie = entered.headers["set-cookie"].lower()
    assert entered.status_code == 303
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/console" in cookie
    shown = http.get("/console/policy")
    assert shown.status_code == 200
    assert desk.key not in shown.text + str(shown.headers) + entered.headers["set-cookie"]
    assert "default-src 'self'" in shown.headers["content-security-policy"]
    assert shown.headers["cache-control"] == "no-store"
    logs = [file for file in desk.folder.rglob("*") if file.is_file() and file.name != "api-key"]
    assert not [file for file in logs if desk.key.encode() in file.read_bytes()]


def test_a_form_of_another_site_or_session_is_refused_and_changes_nothing(
    http: httpx2.Client, desk: Desk
) -> None:
    http.post("/console/login", data={"key": desk.key})
    token = fields(http.get("/console/policy").text)["csrf"]
    publish = {"do": "publish", "target": "people.parquet", "title": "Stolen", "r0-kind": "permission"}
    publish |= {"r0-action": "http://www.w3.org/ns/odrl/2/use"}
    assert http.post("/console/policy", data=publish).status_code == 403
    assert http.post("/console/policy", data=publish | {"csrf": "x" * 43}).status_code == 403
    crossed = http.post(
        "/console/policy", data=publish | {"csrf": token}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert crossed.status_code == 403
    told = http.get("/management/offers", headers={"Authorization": f"Bearer {desk.key}"}).json()
    assert "Stolen" not in [one["dct:title"] for one in told["datasets"]]


def test_a_form_that_is_too_large_or_makes_no_sense_is_refused(http: httpx2.Client, desk: Desk) -> None:
    http.post("/console/login", data={"key": desk.key})
    csrf = fields(http.get("/console/policy").text)["csrf"]
    large = http.post("/console/policy", content=b"csrf=" + b"x" * (2 << 20))
    assert large.status_code == 413
    many = http.post("/console/policy", data={"csrf": csrf, **{f"x{n}": "" for n in range(9000)}})
    assert many.status_code == 422 or many.status_code == 400
    strange = http.post("/console/policy", data={"csrf": csrf, "r0-kind": "wish", "r0-action": "x"})
    assert strange.status_code == 200
    assert "no rule is of kind" in strange.text
    outside = http.post("/console/policy", data={"csrf": csrf, "target": "../connector/api-key"})
    assert "no such file" in outside.text.lower() or "not" in outside.text
    assert desk.key not in outside.text
