"""`hansa catalog`: make a catalogue, serve it, tell it whom to crawl and who belongs to the data space."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from policies.kinds.places import region_code
from policies.profile import ENVIRONMENTS
from schemas.binding.lean import starting
from schemas.errors import DataspaceError, Malformed, PeerRefused

if TYPE_CHECKING:
    from catalog.settings import Settings

app = typer.Typer(
    name="catalog",
    help="The shared catalogue: where the datasets of a data space can be found.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
origins = typer.Typer(help="Whom the catalogue crawls.", no_args_is_help=True)
members = typer.Typer(help="Who belongs to the data space.", no_args_is_help=True)
app.add_typer(origins, name="origins")
app.add_typer(members, name="members")

Config = Annotated[
    Path, typer.Option("--config", "-c", help="settings file (TOML)", envvar="HANSA_CATALOG_CONFIG")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
DEFAULT_CONFIG = Path("catalog.toml")
_ROLES = ("provider", "consumer", "catalog", "auditor")


def _load(config: Path) -> Settings:
    """Read the settings; what checks them is loaded by the verbs that have some."""
    from catalog.settings import load_settings

    return load_settings(config)


@contextmanager
def _told() -> Iterator[None]:
    """Print an error as one sentence and leave with status 1."""
    try:
        yield
    except DataspaceError as error:
        typer.echo(f"{error.code}: {error}", err=True)
        raise typer.Exit(1) from None


def _print_rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], empty: str) -> None:
    """Print aligned columns on a terminal, and tab-separated values into a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(emoji=False, markup=False).print(table)


@app.command()
def serve(config: Config = DEFAULT_CONFIG) -> None:
    """Serve the catalogue until it is interrupted."""
    with _told():
        from schemas.binding.address import check_free

        settings = _load(config)
        check_free(settings.host, settings.port)
        with starting():
            import uvicorn

            from catalog.app import make_app
            from schemas.binding.logs import log_as_json

            log_as_json(settings.log_level)
            asgi = make_app(settings)
    uvicorn.run(
        asgi,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
        server_header=False,
    )


_TEMPLATE = """# A catalogue of a data space. Environment variables override, for example HANSA_PORT=8100
title = "Data catalogue"
host = "{host}"
port = {port}
public_url = "{public_url}"
data_dir = "."
# database_url = "postgresql://hansa@localhost/catalog"
crawl_interval = 300

[members]
space = "{space}"
{authority}
[egress]
allow = [{allow}]

# [[origins]]
# id = "did:web:provider.example"
# url = "https://provider.example/dsp/2025-1"
"""


@app.command()
def init(  # noqa: PLR0913 (one parameter an option)
    folder: Annotated[Path, typer.Argument(help="folder to make")],
    public_url: Annotated[
        str, typer.Option(help="URL by which others will reach it")
    ] = "http://localhost:8100",
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on")] = 8100,
    space: Annotated[str, typer.Option(help="name of the data space")] = "hansa",
    authority: Annotated[
        bool, typer.Option("--authority", help="make the key of the data space's authority, too")
    ] = False,
    allow: Annotated[list[str] | None, typer.Option(help="network that may be connected to (CIDR)")] = None,
) -> None:
    """Make a folder with settings, the catalogue's key and the operator's key; what is there stays."""
    from catalog.app import AUTHORITY_FILE, make_keys, write_settings

    with _told():
        folder.mkdir(parents=True, exist_ok=True)
        make_keys(folder, authority=authority)
        line = f'{"" if authority else "# "}authority_key_file = "{AUTHORITY_FILE}"\n'
        networks = ", ".join(json.dumps(network) for network in allow or ())
        settings = folder / DEFAULT_CONFIG
        write_settings(
            settings,
            _TEMPLATE.format(
                host=host, port=port, public_url=public_url, space=space, authority=line, allow=networks
            ),
        )
        loaded = _load(settings)
    typer.echo(f"{loaded.did}\t{settings}")


def _ask(settings: Settings, method: str, path: str, document: Any = None) -> Any:
    """Ask the running catalogue as its operator."""
    from catalog.app import open_http, operator_key

    http = open_http(settings)
    headers = {"Authorization": f"Bearer {operator_key(settings)}"}
    url = settings.root + path
    try:
        if method == "POST":
            reply = http.post(url, document, headers)
        else:
            reply = (http.get if method == "GET" else http.delete)(url, headers)
    finally:
        http.close()
    answer = reply.json()
    if not reply.ok:
        detail = answer.get("detail") if isinstance(answer, dict) else None
        raise PeerRefused(
            f"{url} answered {reply.status}: {detail or 'no reason given'}", peer_status=reply.status
        )
    return answer


@origins.command("list")
def list_origins(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Say who is crawled: when last, with what result, and when next."""
    with _told():
        found = _ask(_load(config), "GET", "/origins")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    rows = [
        (
            item["id"],
            item["result"] or "not yet",
            str(item["datasets"]),
            item["finished"] or "",
            item["nextTry"] or "",
        )
        for item in found
    ]
    _print_rows(
        ("origin", "result", "datasets", "last", "next try"), rows, "No origins. Add one: origins add DID URL"
    )


@origins.command("add")
def add_origin(
    participant: Annotated[str, typer.Argument(help="the participant's DID")],
    url: Annotated[str, typer.Argument(help="base URL of its DSP endpoints")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Crawl a participant from now on; the first crawl begins at once."""
    with _told():
        _ask(_load(config), "POST", "/origins", {"id": participant, "url": url})
    typer.echo(f"{participant} is crawled now, and again every interval")


@origins.command("remove")
def remove_origin(
    participant: Annotated[str, typer.Argument(help="the participant's DID")], config: Config = DEFAULT_CONFIG
) -> None:
    """Crawl a participant no more, and withdraw what was crawled from it."""
    with _told():
        _ask(_load(config), "DELETE", f"/origins/{quote(participant, safe='')}")
    typer.echo(f"{participant} is no longer crawled")


def _thumbprint_of(settings: Settings, participant: str) -> str:
    """Read the thumbprint of a participant's only speaking key from its DID document."""
    from catalog.app import now, open_http
    from schemas.binding.did import DidResolver
    from schemas.identity import speaking_keys

    http = open_http(settings)
    try:
        keys = [key.thumbprint() for key in speaking_keys(DidResolver(http, now).resolve(participant)).keys]
    finally:
        http.close()
    if len(keys) != 1:
        raise Malformed(f"{participant} publishes {len(keys)} Ed25519 keys; name one with --thumbprint")
    return str(keys[0])


@members.command("add")
def add_member(  # noqa: PLR0913 (one parameter an option)
    participant: Annotated[str, typer.Argument(help="the participant's DID")],
    role: Annotated[list[str], typer.Option(help=f"one of {', '.join(_ROLES)}; may be given several times")],
    thumbprint: Annotated[
        str | None, typer.Option(help="thumbprint of its key (RFC 7638); default: read from its DID document")
    ] = None,
    name: Annotated[str | None, typer.Option(help="its name for people")] = None,
    days: Annotated[int, typer.Option(help="days for which the membership holds")] = 365,
    group: Annotated[
        list[str] | None,
        typer.Option(help="a group that it is in; may be given several times"),
    ] = None,
    credential: Annotated[
        list[str] | None, typer.Option(help="CLAIM=VALUE that you vouch for; may be given several times")
    ] = None,
    region: Annotated[str | None, typer.Option(help="its country (ISO 3166-1, such as DE)")] = None,
    environment: Annotated[
        str | None, typer.Option(help=f"where it attested to process data: {', '.join(ENVIRONMENTS)}")
    ] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Put a participant on the member list, and sign the list if this catalogue holds the authority's key."""
    from catalog.app import open_members
    from schemas.identity import Member, did_url

    with _told():
        settings = _load(config)
        did_url(participant)
        until = datetime.now(UTC) + timedelta(days=days)
        member = Member.read(
            {
                "id": participant,
                "thumbprint": thumbprint or _thumbprint_of(settings, participant),
                "roles": role,
                "validTo": until.isoformat(timespec="seconds"),
                "name": name,
                "groups": group or [],
                "credentials": _credentials(credential or []),
                "region": region_code(region, "--region") if region else None,
                "environment": _environment(environment) if environment else None,
            }
        )
        listed = open_members(settings).add(member)
    signed = f"signed as issue {listed.serial}" if settings.members.authority_key_file else "not signed yet"
    typer.echo(f"{participant} is on the list of {listed.space} ({len(listed.members)} members, {signed})")


def _credentials(said: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in said:
        claim, equals, value = pair.partition("=")
        if not claim or not equals or not value:
            raise Malformed(f"--credential {pair[:80]!r} is not CLAIM=VALUE; write one like sme=true")
        found.setdefault(claim, []).append(value)
    return found


def _environment(said: str) -> str:
    if said not in ENVIRONMENTS:
        raise Malformed(f"--environment {said[:80]!r} is unknown; known: {', '.join(ENVIRONMENTS)}")
    return said


@members.command("sign")
def sign_list(config: Config = DEFAULT_CONFIG) -> None:
    """Sign the member list as the authority of the data space, with the next serial."""
    from catalog.app import open_members

    with _told():
        listed = open_members(_load(config)).sign()
    typer.echo(f"issue {listed.serial} of {listed.space}: {len(listed.members)} members")


@members.command("list")
def list_members(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Say who belongs to the data space, as the signed list has it."""
    from catalog.app import open_members

    with _told():
        listed = open_members(_load(config)).listed()
    if as_json:
        typer.echo(json.dumps(listed.wire(), indent=2))
        return
    rows = [
        (item.id, ", ".join(item.roles), f"{item.valid_to:%Y-%m-%d}", item.thumbprint, item.name or "")
        for item in listed.members
    ]
    _print_rows(
        ("participant", "roles", "until", "key", "name"),
        rows,
        "No members. Add one: members add DID --role provider",
    )
