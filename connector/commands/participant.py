"""`hansa connector …`: what the operator and the data holder of a participant type.

The server's parts are loaded by the verbs that need them: the others answer at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.client.management import Management, quoted
from connector.commands.policy_files import offer_file, read_file
from connector.commands.terminal import counted, err, out, print_json, print_table, print_warnings, reporting
from connector.settings import API_KEY_FILE, Settings, load
from policies.refusals.refusal import refusal
from schemas.binding.address import check_free
from schemas.binding.client import Egress, Http
from schemas.binding.lean import starting
from schemas.errors import Malformed, Misconfigured, NotFound
from schemas.identity import did_for
from schemas.worded import read_told, worded

if TYPE_CHECKING:
    from policies.words.language import Language

app = typer.Typer(help="Run a participant's connector, and publish through it.", no_args_is_help=True)

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="HANSA_CONFIG", help="Settings file of the connector.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
HERE = Path("hansa.toml")
_EGRESS = ("", "[egress]", 'allow = []  # for a try-out on one machine: ["127.0.0.0/8", "::1/128"]')


def opened(settings: Settings) -> Management:
    """Return the management door of the connector that these settings describe.

    Raises:
        Misconfigured: if its API key is not there to read.
    """
    file = settings.data_dir / API_KEY_FILE
    try:
        key = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(
            f"cannot read the API key {file}: {error}; `hansa connector serve` makes it"
        ) from None
    # The command line runs beside its connector, so it asks the address that the connector listens on.
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    return Management(
        f"http://{host}:{settings.port}", key, Http(Egress.allowing(("127.0.0.0/8", "::1/128")), timeout=60)
    )


@app.command()
@reporting
def init(  # noqa: PLR0913 - one argument for each option of the verb
    folder: Annotated[Path, typer.Argument(help="A new folder for settings, keys and state.")],
    name: Annotated[str, typer.Option(help="Name of the participant, shown to people.")] = "A connector",
    public_url: Annotated[
        str,
        typer.Option(help="URL under which peers reach it; the participant's did:web id follows from it."),
    ] = "http://localhost:8101",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8101,
    catalog: Annotated[str | None, typer.Option(help="URL of a shared catalogue to push to.")] = None,
    authority: Annotated[
        Path | None, typer.Option(help="Public key (JWK file) of the authority that signs the member list.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder below which data files may be published.")] = None,
) -> None:
    """Make settings and keys for a new participant, and say what to tell the authority of the data space."""
    target = folder / "hansa.toml"
    if target.exists():
        raise Misconfigured(f"{target} exists; choose another folder, or edit it")
    if authority is not None and catalog is None:
        raise Misconfigured("--authority needs --catalog, where the signed member list is served")
    from connector.app.ground import initialise

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    jwk = _public_key(authority) if authority else None
    lines = _settings_text(name, public_url.rstrip("/"), port, data)
    lines += _joining_text(catalog, jwk) if catalog else []
    target.write_text("\n".join([*lines, *_EGRESS, ""]), encoding="utf-8")
    thumbprint = initialise(folder / "state")
    out.print(f"Made [accent]{target}[/] and keys in {folder / 'state'}.")
    out.print("Tell the authority of the data space, so that it lists you as a member:")
    out.print(f"  id          {did_for(public_url)}\n  thumbprint  {thumbprint}", markup=False)
    out.print(f"Then start it: hansa connector serve --config {target}", markup=False)


def _public_key(file: Path) -> dict[str, str]:
    try:
        jwk = json.loads(file.read_text(encoding="utf-8"))
        return {name: str(jwk[name]) for name in ("kty", "crv", "x")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{file} is not a public Ed25519 key (JWK): {error}") from None


def _settings_text(name: str, url: str, port: int, data: Path | None) -> list[str]:
    root = json.dumps(str(data.resolve())) if data else ""
    return [
        "# Settings of a connector; every one can be set by HANSA_… in the environment too.",
        f"name = {json.dumps(name)}",
        f"public_url = {json.dumps(url)}  # peers reach it here; its did:web id follows from it",
        f"port = {port}",
        "",
        "[data]",
        f"roots = [{root}]  # only files below these folders can be published",
        "",
        "[stream]",
        "port = 0  # of the Arrow door; 0 picks a free one: set it where a firewall stands before it",
    ]


def _joining_text(catalog: str, authority: dict[str, str] | None) -> list[str]:
    base = catalog.rstrip("/")
    text = ["", "[[catalogs]]", f"id = {json.dumps(did_for(base))}", f"url = {json.dumps(base)}"]
    if authority:
        row = ", ".join(f"{key} = {json.dumps(value)}" for key, value in authority.items())
        text += ["", "[members]", f'url = "{base}/members.jwt"', f"authority = {{ {row} }}"]
    return text


@app.command()
@reporting
def serve(config: Config = HERE) -> None:
    """Serve this participant until it is told to stop."""
    settings = load(config)
    check_free(settings.host, settings.port)
    with starting():
        from connector.app.connector import build, serve_until_stopped
        from schemas.binding.logs import log_as_json

        log_as_json(settings.log_level)
        connector = build(settings)
    serve_until_stopped(connector)


@app.command()
@reporting
def publish(  # noqa: PLR0913 - one argument for each option of the verb
    source: Annotated[str, typer.Argument(help="Data file, relative to one of the data folders.")],
    title: Annotated[str, typer.Option(help="What the dataset is called.")],
    template: Annotated[
        str | None, typer.Option(help="Offer template; see `hansa connector templates`.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="name=value of the template; commas make lists."),
    ] = None,
    offer: Annotated[
        Path | None, typer.Option(help="A policy file instead of a template: JSON, JSON-LD or Turtle.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What is in it.")] = None,
    keyword: Annotated[list[str] | None, typer.Option(help="A keyword; may be repeated.")] = None,
    consent: Annotated[str | None, typer.Option(help="Consent table beside the data.")] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Id of the dataset; without it, made from the file's name.")
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="Language of refusals: en or de.")] = "en",
    config: Config = HERE,
    as_json: Json = False,
) -> None:
    """Publish a data file with an offer, here and in the shared catalogues.

    Every term of the offer is checked against the data first; one that cannot be kept is refused by name.
    """
    from policies.words.carried import in_words
    from policies.words.language import language

    wanted = language(lang)
    item: dict[str, Any] = {
        "source": source,
        "title": title,
        "offer": _offer(template, parameter or [], offer),
    }
    item |= {"description": description} if description else {}
    item |= {"keywords": keyword} if keyword else {}
    item |= {"consent": consent} if consent else {}
    item |= {"id": id_} if id_ else {}
    answered = opened(load(config)).publish([item])
    if as_json:
        print_json(answered)
    else:
        for dataset in (*answered["published"], *answered["unchanged"]):
            out.print(f"[granted]published[/] {dataset}")
        if offer is not None and not answered["refused"]:
            _warn(offer, wanted)
        for refused in answered["refused"]:
            err.print(f"[denied]refused[/] {refused['source']}: ", end="")
            (reason,) = worded((refused["reason"],), read_told(refused.get("told"), 1))
            err.print(in_words(reason, wanted), markup=False)
    if answered["refused"]:
        raise typer.Exit(1)


def _warn(file: Path, lang: Language) -> None:
    """Tell whoever publishes a file, too, what of it could be clearer."""
    from policies.compiled import compile_policy

    print_warnings(compile_policy(read_file(file)).warnings, lang)


def _offer(template: str | None, given: list[str], file: Path | None) -> dict[str, Any]:
    if (template is None) == (file is None):
        raise Malformed("give either --template or --offer")
    if file is not None:
        return offer_file(file)
    return {"template": template, "parameters": parameters_of(given, "--parameter")}


def parameters_of(given: list[str], option: str) -> dict[str, Any]:
    """Read `name=value` pairs; commas make lists.

    Raises:
        Malformed: if one is no pair.
    """
    parameters: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Malformed(refusal("pair", option=option, pair=repr(pair)))
        parameters[name] = value.split(",") if "," in value else value
    return parameters


@app.command()
@reporting
def withdraw(
    dataset: Annotated[str, typer.Argument(help="Id of the dataset.")], config: Config = HERE
) -> None:
    """Withdraw a dataset: no new agreements; those that stand stay as they were agreed."""
    opened(load(config)).delete(f"/offers/{quoted(dataset)}")
    out.print(f"[granted]withdrawn[/] {dataset}")


@app.command()
@reporting
def templates() -> None:
    """List the offer templates and their parameters."""
    from policies.templates import template_about, template_names, template_parameters

    for name in template_names():
        out.print(f"[accent]{name}[/]  {template_about(name)}")
        for parameter, form in template_parameters(name).items():
            out.print(f"    {parameter}  {form}", markup=False)


@app.command()
@reporting
def offers(
    text: Annotated[str | None, typer.Argument(help="Only datasets with this text.")] = None,
    most: Annotated[int, typer.Option(help="How many to list.")] = 50,
    config: Config = HERE,
    as_json: Json = False,
) -> None:
    """List what this participant offers."""
    answered = opened(load(config)).get("/offers", q=text, limit=most)
    if as_json:
        print_json(answered)
        return
    rows = [(row["@id"], row.get("dct:title"), _rows_of(row)) for row in answered["datasets"]]
    print_table(
        ("dataset", "title", "rows"), rows, "Nothing is published yet: hansa connector publish FILE --title …"
    )
    if answered["total"] > len(rows):
        out.print(f"{len(rows)} of {answered['total']:,}; see more with --most", style="faint")


def _rows_of(dataset: dict[str, Any]) -> int | None:
    return next((value for key, value in dataset.items() if key.endswith("#rows")), None)


@app.command()
@reporting
def agreements(config: Config = HERE, as_json: Json = False) -> None:
    """List the agreements that this participant holds."""
    answered = opened(load(config)).get("/agreements")
    if as_json:
        print_json(answered)
        return
    rows = [
        (row["id"], row["role"], row["counterparty"], row["dataset"], row["signed"], row["state"])
        for row in answered["agreements"]
    ]
    print_table(("agreement", "we are", "with", "dataset", "signed", "state"), rows, "No agreements yet.")


@app.command()
@reporting
def revoke(
    agreement: Annotated[str, typer.Argument(help="Id of the agreement.")],
    reason: Annotated[str, typer.Option(help="Why; the consumer is told, and the log keeps it.")],
    emergency: Annotated[
        str | None, typer.Option(help="Why the notice that the agreement promises cannot be kept.")
    ] = None,
    config: Config = HERE,
) -> None:
    """End an agreement: open streams stop, new ones are refused; at once, or after the promised notice."""
    said = {"reason": reason} | ({"emergency": emergency} if emergency is not None else {})
    answered = opened(load(config)).post(f"/agreements/{quoted(agreement)}/revocation", said)
    if answered["revoked"] is None:
        out.print(f"[waiting]will be revoked[/] at {answered['ends']}, after its notice: {agreement}")
    else:
        out.print(f"[granted]revoked[/] {agreement}")


@app.command()
@reporting
def consent_withdrawn(
    dataset: Annotated[str, typer.Argument(help="Id of the dataset whose table of consent changed.")],
    reason: Annotated[
        str, typer.Option(help="What readers are told; no subject is named to them.")
    ] = "consent was withdrawn",
    config: Config = HERE,
) -> None:
    """Have the streams end under agreements that ask for consent; who comes again reads what is left."""
    answered = opened(load(config)).post("/consents/withdrawal", {"dataset": dataset, "reason": reason})
    out.print(f"[granted]{len(answered['agreementsChanged'])} agreements[/] decide anew")


@app.command()
@reporting
def approve(
    process: Annotated[str, typer.Argument(help="Id of the negotiation or transfer, as `status` shows it.")],
    config: Config = HERE,
) -> None:
    """Say yes to a negotiation or transfer that waits for a person."""
    door = opened(load(config))
    try:
        answered = door.post(f"/negotiations/{quoted(process)}/approval", {})
    except NotFound:
        answered = door.post(f"/transfers/{quoted(process)}/start", {})
    out.print(f"[granted]approved[/] {process}, now {answered['state']}")


@app.command()
@reporting
def status(config: Config = HERE, as_json: Json = False) -> None:
    """Say what waits: whose turn it is, since when, why, and the next try."""
    answered = opened(load(config)).get("/status")
    if as_json:
        print_json(answered)
        return
    out.print(f"[accent]{answered['participant']}[/]")
    log = answered["log"]
    out.print(f"usage log: {counted(log['size'], 'entry')}, {log['backlog']:,} waiting for their place")
    for row in answered["obligations"]:
        due = f"{row['owedBy']} owes {row['action'].rpartition('/')[2]} under {row['agreement']}"
        out.print(f"{due}: {row['stage']}, due {row['due']}", style="waiting", markup=False)
    waiting = [
        (row["pid"], row["state"], row["turn"] or "nobody", row["since"], row["why"], row["nextTry"])
        for row in (*answered["negotiations"], *answered["transfers"])
    ]
    columns = ("process", "state", "whose turn", "since", "why", "next try")
    print_table(columns, waiting, "No process is unfinished.")


@app.command()
@reporting
def mandate(
    days: Annotated[
        int, typer.Option(min=1, max=366, help="For how many days the URL opens the records.")
    ] = 30,
    config: Config = HERE,
) -> None:
    """Make a URL with which an auditor can read this participant's usage records.

    Whoever has the URL can read them: hand it over as you would hand over a key.
    """
    out.print(opened(load(config)).post("/mandates", {"days": days})["url"], markup=False)
