"""`hansa policy diff | simulate`: try a change before anybody depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from connector.commands.participant import HERE, Config, Json, opened
from connector.commands.policy import (
    SOMEBODY,
    Action,
    Claim,
    Lang,
    Participant,
    Purpose,
    compiled_file,
    print_decision,
    read_claims,
    show_sentences,
)
from connector.commands.policy_files import read_file
from connector.commands.terminal import out, print_json, print_table, print_warnings, reporting
from connector.settings import load
from policies.words.language import Language, language, message, sentence

_KINDS = {
    "added": "accent",
    "removed": "accent",
    "widened": "waiting",
    "narrowed": "granted",
    "changed": "waiting",
}


@reporting
def diff(  # noqa: PLR0913 - one argument for each option of the verb
    old: Annotated[Path, typer.Argument(help="The policy as it was.")],
    new: Annotated[Path, typer.Argument(help="The policy as it would be.")],
    dataset: Annotated[
        str | None, typer.Option(help="A dataset at your connector: whom would the new policy touch?")
    ] = None,
    lang: Annotated[
        str,
        typer.Option("--lang", help="Language of why not: en or de. What changed is told in English."),
    ] = "en",
    config: Config = HERE,
    as_json: Json = False,
) -> None:
    """Say what changed between two policies, rule by rule: added, removed, widened, narrowed.

    Widened means that more is allowed than before. With --dataset your connector decides every agreement
    about it again: who would get no new one, and which of them are reading now. Agreements that stand keep
    their terms until you revoke them.
    """
    from policies.compare.changes import Kind, changes

    found = [one for one in changes(compiled_file(old), compiled_file(new)) if one.kind is not Kind.EQUAL]
    document: dict[str, Any] = {"changes": [asdict(one) for one in found]}
    if dataset is not None:
        asked = {"offer": read_file(new).wire(), "dataset": dataset, "lang": language(lang).value}
        document["agreements"] = opened(load(config)).post("/policies/impact", asked)["agreements"]
    if as_json:
        print_json(document)
        return
    if not found:
        out.print("Both say the same.", style="faint")
    for one in found:
        out.print(f"[{_KINDS[one.kind.value]}]{one.kind.value}[/] {one.new or one.old} ", end="")
        out.print(one.words, markup=False)
        for term in one.terms:
            out.print(f"    {term.kind.value}: {term.old or '-'} → {term.new or '-'}", markup=False)
    if dataset is not None:
        print_touched(document["agreements"])


def print_touched(agreements: Sequence[dict[str, Any]]) -> None:
    """Print whom a new policy would touch: who would get no new agreement, and who is reading now."""
    rows = [
        (
            one["counterparty"],
            "no" if not one["wouldGetNew"] else "yes",
            one["readsNow"],
            one["openStreams"],
            " ".join(one["why"][1:]) or "-",
        )
        for one in agreements
    ]
    columns = ("consumer", "new agreement", "may read now", "open streams", "why not")
    print_table(columns, rows, "No agreement about it stands.")
    losing = [one for one in agreements if one["loses"]]
    streams = sum(one["openStreams"] for one in losing)
    if losing:
        open_now = f"{streams} open {'stream' if streams == 1 else 'streams'}"
        out.print(
            f"{len(losing)} would get no new agreement. Those that stand keep their terms: revoke them with "
            f"`hansa connector revoke`, which stops {open_now}.",
            markup=False,
        )


@reporting
def simulate(  # noqa: PLR0913 - one argument for each option of the verb
    target: Annotated[str, typer.Argument(help="A dataset's id, or a data file below the data folders.")],
    policy: Annotated[Path, typer.Option(help="The policy file to try.")],
    action: Action = "use",
    purpose: Purpose = None,
    participant: Participant = SOMEBODY,
    claim: Claim = None,
    consent: Annotated[
        str | None, typer.Option(help="The consent table beside a data file, where the policy asks for one.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=100, help="How many rows to show.")] = 10,
    lang: Lang = "en",
    config: Config = HERE,
    as_json: Json = False,
) -> None:
    """Show what a consumer would see: the first rows after enforcement, for your eyes only.

    Your connector reads the data through the very plan that a stream would go through; nothing is logged,
    nothing is counted.
    """
    from policies.compiled import compile_policy

    claims = read_claims(claim or [])
    offer = read_file(policy)
    asked = {
        "offer": offer.wire(),
        **_target(target),
        "consent": consent,
        "use": {
            "participant": participant,
            "action": action,
            "purpose": purpose,
            "groups": sorted(claims.groups),
            "credentials": dict(claims.credentials),
            "region": claims.region,
            "environment": claims.environment,
        },
        "rows": rows,
        "lang": language(lang).value,
    }
    answered = opened(load(config)).post("/policies/preview", asked)
    print_warnings(compile_policy(offer).warnings, language(lang))
    if as_json:
        print_json(answered)
    else:
        show_sentences(answered["sentences"])
        print_decision(answered["decision"], language(lang))
        if answered["decision"]["permitted"]:
            print_rows(answered, language(lang))
    if not answered["decision"]["permitted"]:
        raise typer.Exit(3)


def _target(target: str) -> dict[str, str]:
    """Tell an id from a file: an id has a scheme."""
    return {"dataset": target} if ":" in target else {"source": target}


def print_rows(answered: dict[str, Any], lang: Language) -> None:
    """Print the first rows as they would leave."""
    names = [column["name"] for column in answered["columns"]]
    print_table(names, answered["rows"], "No row would leave.")
    if answered["more"]:
        out.print(sentence(message("more rows"), lang), style="faint")
    for note in answered["notes"]:
        out.print(note, markup=False, style="faint")
