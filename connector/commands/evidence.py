"""`hansa audit`: is the evidence whole, and was every use within its agreement?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from connector.commands.terminal import counted, out, print_json, print_table, reporting, shorten
from schemas.binding.client import Egress, Http
from schemas.errors import Malformed
from schemas.vocab import compact_iri

if TYPE_CHECKING:
    from policies.audit import AuditReport

app = typer.Typer()

MOST_SHOWN = 20
"""Findings that are printed; `--json` gives all."""


@app.command()
@reporting
def audit(
    urls: Annotated[
        list[str] | None, typer.Argument(help="Evidence URLs, each with its mandate in the fragment.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Keep copies here; the next audit then also proves that each log only grew."),
    ] = None,
    copy: Annotated[
        Path | None, typer.Option(help="Audit a copy on disk instead, without the network.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Verify usage logs, replay every use against its agreement, and say who used what.

    Nothing of the participants is trusted but the key in their DID document. Exit code 4 if anything does
    not hold.
    """
    from connector.auditor import audit_copy, audit_urls

    if bool(urls) == bool(copy):
        raise Malformed(
            "give evidence URLs, or --copy FOLDER; a holder makes a URL with `hansa connector mandate`"
        )
    if copy is not None:
        reports: tuple[AuditReport, ...] = (audit_copy(copy),)
    else:
        # An auditor reads what was named on the command line; plain http stays for loopback.
        http = Http(Egress.allowing(("0.0.0.0/0", "::/0")), timeout=60)
        reports = audit_urls(urls or [], http, save, _for_signers(urls or []))
    if as_json:
        print_json([report.as_json() for report in reports])
    else:
        for report in reports:
            _print(report)
    if not all(report.holds for report in reports):
        raise typer.Exit(4)


def _for_signers(urls: list[str]) -> Http:
    """Return the client for those whom a log names: public places, and loopback if the log is there too."""
    hosts = [urlsplit(url).hostname for url in urls]
    is_here = bool(hosts) and all(host in ("localhost", "127.0.0.1", "::1") for host in hosts)
    return Http(Egress.allowing(("127.0.0.0/8", "::1/128") if is_here else ()), timeout=10)


def _print(report: AuditReport) -> None:
    """Open with the verdict; then who used what."""
    verdict = "[granted]verified[/]" if report.holds else "[denied]does not hold[/]"
    out.print(f"{verdict} to size {report.size:,}: usage log of [accent]{report.did}[/]")
    out.print(
        f"  root {report.root.hex()[:16]}…, replayed: {counted(report.decisions, 'decision')}, "
        f"{counted(report.agreements, 'agreement')}",
        style="faint",
    )
    for finding in report.findings[:MOST_SHOWN]:
        out.print(f"  broken  {finding}", style="denied", markup=False)
    if len(report.findings) > MOST_SHOWN:
        out.print(f"  and {len(report.findings) - MOST_SHOWN:,} more; see --json", style="denied")
    rows = [
        (
            f"  {use.counterparty}",
            use.dataset.rsplit(":", 1)[-1],
            shorten(use.agreement, 20),
            compact_iri(use.action),
            compact_iri(use.purpose) if use.purpose else None,
            use.streams,
            use.denied,
            use.rows,
        )
        for use in report.uses
    ]
    columns = ("  who", "dataset", "agreement", "action", "purpose", "streams", "denied", "rows")
    print_table(columns, rows, "  Nobody has used anything yet.")
    for use in report.uses:
        if use.open_rows > 0:
            name = use.dataset.rsplit(":", 1)[-1]
            text = f"  {use.counterparty}, {name}: up to {use.open_rows:,} more rows, not settled"
            out.print(text, markup=False)
    for duty in report.duties[:MOST_SHOWN]:
        late = ", late" if duty.was_overdue and duty.state == "fulfilled" else ""
        style = "denied" if duty.state == "overdue" else "faint"
        out.print(f"  duty {duty.duty} of {duty.agreement}: {duty.state}{late}", style=style, markup=False)
    for receipt in report.receipts[:MOST_SHOWN]:
        style = {"confirmed": "faint", "unconfirmed": "waiting", "broken": "denied"}[receipt.standing]
        note = f": {receipt.note}" if receipt.note else ""
        text = f"  receipt at entry {receipt.entry} from {receipt.signer}: {receipt.standing.value}{note}"
        out.print(text, style=style, markup=False)
    for refusal in report.refusals[:MOST_SHOWN]:
        asked = " for ".join(compact_iri(term) for term in (refusal.action, refusal.purpose) if term)
        name = refusal.dataset.rsplit(":", 1)[-1]
        out.print(
            f"  refused at entry {refusal.entry}: {refusal.counterparty}, {name}, {asked}", markup=False
        )
        out.print(f"    {'; '.join(refusal.reasons)}", style="faint", markup=False)
