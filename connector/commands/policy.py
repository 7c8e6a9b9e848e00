"""`hansa policy …`: write a policy, read it back in sentences, try it before anybody depends on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.client.management import Management
from connector.commands.participant import HERE, Config, Json, opened
from connector.commands.policy_files import read_file
from connector.commands.terminal import out, print_json, print_warnings, reporting
from connector.settings import load
from policies.profile import Label
from policies.refusals.refusal import refusal
from policies.words.carried import in_words
from policies.words.language import Language, language, message, say, sentence
from schemas.errors import Malformed

if TYPE_CHECKING:
    from policies.compiled import CompiledPolicy
    from policies.use import Claims, Use

app = typer.Typer(
    help="""Write policies, read them in sentences, and try them before they are published.

    Each sentence carries one of three labels: [b]enforced here[/], [b]checked at signing[/] or
    [b]promised, audited[/].

    A first policy: [b]hansa policy new research-only -o offer.json[/], then
    [b]hansa policy explain offer.json[/].
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Lang = Annotated[str, typer.Option("--lang", help="Language of the sentences: en or de.")]
Action = Annotated[str, typer.Option(help="What is to be done, such as use, train, evaluate, analyse.")]
Purpose = Annotated[str | None, typer.Option(help="For which DPV purpose, such as ScientificResearch.")]
Participant = Annotated[str, typer.Option(help="Who asks: the id of a participant.")]
Claim = Annotated[
    list[str] | None,
    typer.Option(
        "--claim",
        help="What the member list states of them: group=NAME, region=DE, environment=NAME or CLAIM=VALUE; "
        "may be repeated.",
    ),
]
At = Annotated[datetime | None, typer.Option(help="When it is asked for; without it, now. Times are in UTC.")]
_STYLES = {Label.ENFORCED: "granted", Label.SIGNING: "accent", Label.PROMISED: "waiting"}
_SHAPES = {Label.ENFORCED: "■", Label.SIGNING: "□", Label.PROMISED: "◌"}
SOMEBODY = "did:web:consumer.example"


def compiled_file(file: Path) -> CompiledPolicy:
    """Read and compile a policy from a file."""
    from policies.compiled import compile_policy

    return compile_policy(read_file(file))


def _print_sentences(sentences: Iterable[tuple[str, str, str]]) -> None:
    """Print sentences, each with the label of who keeps it, after a shape that tells labels apart."""
    for text, label, label_text in sentences:
        known = Label(label)
        out.print(f"[{_STYLES[known]}]{_SHAPES[known]}[/] ", end="")
        out.print(text, markup=False, end="")
        out.print(f"  [{_STYLES[known]}]{label_text}[/]")


def show_sentences(told: Sequence[dict[str, Any]]) -> None:
    """Print a policy's sentences with their labels."""
    _print_sentences((one["text"], one["label"], one["labelText"]) for one in told)


@app.command()
@reporting
def explain(
    policy: Annotated[
        str, typer.Argument(help="A policy file, or the id of a dataset or agreement at your connector.")
    ],
    lang: Lang = "en",
    config: Config = HERE,
    as_json: Json = False,
) -> None:
    """Say a policy in sentences, each with who keeps it.

    The same policy always gives the same sentences; with --json each also carries its rule as data.
    """
    from policies.explain import explain_as_data

    wanted = language(lang)
    if Path(policy).is_file():
        compiled = compiled_file(Path(policy))
        print_warnings(compiled.warnings, wanted)
        found = [explain_as_data(compiled, wanted)]
    else:
        answered = _door(policy, config).get("/policies", id=policy, lang=wanted.value)
        found = [one["sentences"] for one in answered["policies"]]
    if as_json:
        print_json(found)
        return
    for index, told in enumerate(found, 1):
        if len(found) > 1:
            out.print(f"[accent]{index} of {len(found)}[/]")
        show_sentences(told)


def _door(policy: str, config: Path) -> Management:
    """Return the own connector's door, for what is no file here."""
    if policy.endswith((".json", ".jsonld", ".ttl")) or not config.exists():
        raise Malformed(
            f"there is no file {policy}; write the path of a policy, or --config with the id of a dataset"
        )
    return opened(load(config))


@app.command()
@reporting
def check(  # noqa: PLR0913 - one argument for each option of the verb
    policy: Annotated[Path, typer.Argument(help="The policy file.")],
    data: Annotated[
        Path | None, typer.Option(help="A data file: do its columns fit the policy's terms?")
    ] = None,
    action: Annotated[str | None, typer.Option(help="Try a use: what is to be done, such as train.")] = None,
    purpose: Purpose = None,
    participant: Participant = SOMEBODY,
    claim: Claim = None,
    at: At = None,
    rows_used: Annotated[int, typer.Option(min=0, help="Rows that the agreement has used already.")] = 0,
    lang: Lang = "en",
    as_json: Json = False,
) -> None:
    """Check a policy, and where wanted a use of it: why not, and the smallest change that would make it pass.

    Exit code: 0 all well, 1 the policy is refused or contradicts itself, 3 the use is denied.
    """
    from policies.compare.clashes import clashes_in
    from policies.explain import explain_as_data

    wanted = language(lang)
    compiled = compiled_file(policy)
    if data is not None:
        _fit(compiled, data)
    document: dict[str, Any] = {
        "terms": len(explain_as_data(compiled, wanted)),
        "warnings": [in_words(warning, wanted) for warning in compiled.warnings],
        "conflicts": [
            say(message("clash.refused", clashes=in_words(clash.why, wanted)), wanted)
            for clash in clashes_in(compiled)
        ],
    }
    if action is not None or purpose is not None:
        use = _use(participant, action or "use", purpose, claim or [])
        document["decision"] = _decided(compiled, use, rows_used, _instant(at), wanted)
    if as_json:
        print_json(document)
    else:
        _print_check(document, wanted)
    if document["conflicts"]:
        raise typer.Exit(1)
    if not document.get("decision", {"permitted": True})["permitted"]:
        raise typer.Exit(3)


def _fit(compiled: CompiledPolicy, data: Path) -> None:
    from connector.app.ground import columns_of_file
    from policies.fitting import fit_to_columns

    fit_to_columns(compiled, columns_of_file(data))


def _use(participant: str, action: str, purpose: str | None, claims: Sequence[str]) -> Use:
    from policies.profile import action_iri, purpose_iri
    from policies.use import Use

    stated = purpose_iri(purpose) if purpose else None
    return Use(participant, action_iri(action), stated, read_claims(claims))


def read_claims(given: Sequence[str]) -> Claims:
    """Read what the member list would state, as `--claim` writes it.

    Raises:
        Malformed: if one is no pair.
    """
    from policies.use import Claims

    groups, credentials, single = set(), [], {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not value:
            raise Malformed(refusal("pair", option="--claim", pair=repr(pair)))
        if name == "group":
            groups.add(value)
        elif name in ("region", "environment"):
            single[name] = value
        else:
            credentials.append((name, value))
    return Claims(frozenset(groups), tuple(credentials), single.get("region"), single.get("environment"))


def _instant(at: datetime | None) -> datetime:
    from connector.app.world import utc_now

    return utc_now() if at is None else at.replace(tzinfo=UTC)


def _decided(policy: CompiledPolicy, use: Use, rows: int, at: datetime, lang: Language) -> dict[str, Any]:
    from policies.decision import Permit, decide
    from policies.explain import explain_decision
    from policies.remedies import Question, against_sentences, remedies
    from policies.use import UseTotals

    totals = UseTotals(rows, agreed=at)
    decision = decide(policy, use, totals, at)
    if isinstance(decision, Permit):
        return {"permitted": True, "sentences": list(explain_decision(decision, lang)), "remedies": []}
    question = Question(policy, use, totals, at)
    return {
        "permitted": False,
        "sentences": list(against_sentences(question, lang)),
        "reasons": [say(reason.told, lang) for reason in decision.reasons],
        "remedies": [list(one.sentences(lang)) for one in remedies(question)],
    }


def _print_check(document: dict[str, Any], lang: Language) -> None:
    first, _, rest = say(message("well formed", n=document["terms"]), lang).partition(",")
    out.print(f"[granted]{first}[/],{rest}")
    for word, style, found in (("warning", "waiting", "warnings"), ("conflict", "denied", "conflicts")):
        for text in document[found]:
            out.print(f"[{style}]{say(message(f'label.{word}'), lang)}[/] ", end="")
            out.print(text, markup=False)
    if "decision" in document:
        print_decision(document["decision"], lang)


def print_decision(decision: dict[str, Any], lang: Language) -> None:
    """Print a decision: what it means, or why not and what would make it pass."""
    style = "granted" if decision["permitted"] else "denied"
    first, *rest = decision["sentences"]
    out.print(f"[{style}]{first}[/]")
    for told in rest:
        out.print(f"  {told}", markup=False)
    if decision["remedies"]:
        heading = sentence(message("remedies"), lang).rstrip(".")
        out.print(f"[accent]{heading}[/]")
        for remedy in decision["remedies"]:
            out.print("  " + " ".join(remedy), markup=False)
    elif not decision["permitted"]:
        out.print(sentence(message("remedies.none"), lang), style="faint")


@app.command()
@reporting
def templates(lang: Lang = "en", as_json: Json = False) -> None:
    """List the ready-made policies, and what each asks for."""
    from policies.templates import template, template_names, template_parameters

    wanted = language(lang)
    if as_json:
        print_json(
            [
                {"name": name, "about": template(name).about(wanted), "parameters": template_parameters(name)}
                for name in template_names()
            ]
        )
        return
    for name in template_names():
        one = template(name)
        out.print(f"[accent]{name}[/]  {one.about(wanted)}")
        for parameter, form in template_parameters(name, wanted).items():
            out.print(f"    {parameter}  {form}", markup=False)


@app.command()
@reporting
def new(
    name: Annotated[str, typer.Argument(help="A template; see `hansa policy templates`.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="name=value; commas make lists.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", "-o", help="Write the policy here.")] = None,
    lang: Lang = "en",
) -> None:
    """Write a policy from a template, and say what it says.

    The policy is ODRL as the Dataspace Protocol writes it: publish it with
    `hansa connector publish FILE --offer POLICY`. Without --out it is printed, and nothing else.
    """
    from connector.commands.participant import parameters_of
    from policies.compiled import compile_policy
    from policies.explain import explain_as_data
    from policies.templates import fill

    wanted = language(lang)
    offer = fill(name, "urn:hansa:draft", **parameters_of(param or [], "--param"))
    document = offer.wire()
    document.pop("@id", None)
    if to is None:
        print_json(document)
        return
    if to.exists():
        raise Malformed(f"{to} exists; choose another name, or remove it")
    to.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    out.print(f"[granted]written[/] {to}")
    show_sentences(explain_as_data(compile_policy(offer), wanted))
