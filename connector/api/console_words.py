"""What the console's pages say around the policies, in English and German."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from policies.words.carried import in_words
from policies.words.language import Language

WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "console": ("Console", "Konsole"),
        "skip": ("Skip to content", "Zum Inhalt"),
        "policy": ("Write a policy", "Regeln schreiben"),
        "lead": (
            "Choose a ready-made policy or build your own from the terms that this connector keeps. Read it "
            "back in sentences, and see what a consumer would see, before anybody depends on it.",
            "Wählen Sie eine Vorlage, oder bauen Sie eigene Regeln aus den Bedingungen, die dieser Connector "
            "durchsetzen kann. Lesen Sie sie als Sätze, und sehen Sie, was Nutzende sähen, bevor sich jemand "
            "darauf verlässt.",
        ),
        "login": ("Sign in", "Anmelden"),
        "login.lead": (
            "The console is for the people of this participant. Its key lies in the connector's data folder, "
            "in the file api-key.",
            "Die Konsole ist für die Mitarbeitenden dieses Teilnehmers. Ihr Schlüssel liegt im Datenordner "
            "des Connectors, in der Datei api-key.",
        ),
        "key": ("API key", "API-Schlüssel"),
        "login.wrong": (
            "That is not the key of this connector.",
            "Das ist nicht der Schlüssel dieses Connectors.",
        ),
        "logout": ("Sign out", "Abmelden"),
        "language": ("Language", "Sprache"),
        "other.language": ("Deutsch", "English"),
        "data": ("1. The data", "1. Die Daten"),
        "target": ("Data file, or id of a dataset", "Datei oder Kennung eines Datensatzes"),
        "target.help": (
            "A file below the data folders, or what you publish already. Without data nothing is simulated.",
            "Eine Datei unter den Datenordnern, oder was Sie anbieten. Ohne Daten gibt es keine Vorschau.",
        ),
        "consent": ("Consent table", "Tabelle der Einwilligungen"),
        "consent.help": (
            "A file beside the data: who consents to what, since when. Only where a term asks for consent.",
            "Eine Datei neben den Daten: wer wozu seit wann einwilligt. Nur nötig, wenn eine Bedingung es "
            "verlangt.",
        ),
        "template": ("2. A ready-made policy", "2. Eine Vorlage"),
        "template.choose": ("Template", "Vorlage"),
        "template.none": ("none: build your own", "keine: selbst bauen"),
        "template.show": ("Show what it asks for", "Angaben der Vorlage zeigen"),
        "template.fill": ("Use this template", "Vorlage übernehmen"),
        "template.replaces": (
            "Its rules replace those below.",
            "Ihre Regeln ersetzen die unten stehenden.",
        ),
        "optional": ("optional", "optional"),
        "rules": ("3. The rules", "3. Die Regeln"),
        "permission": ("Permission", "Erlaubnis"),
        "prohibition": ("Prohibition", "Verbot"),
        "obligation": ("Obligation", "Pflicht"),
        "action": ("Action", "Handlung"),
        "no.rules": (
            "No rule yet. Take a template, or add a permission.",
            "Noch keine Regel. Nehmen Sie eine Vorlage, oder fügen Sie eine Erlaubnis hinzu.",
        ),
        "term": ("Term", "Bedingung"),
        "term.choose": ("choose a term", "Bedingung wählen"),
        "column": ("Column", "Spalte"),
        "claim": ("Claim", "Nachweis"),
        "operator": ("Operator", "Vergleich"),
        "value": ("Value", "Wert"),
        "kept": ("Kept as it is written", "Bleibt unverändert"),
        "add.row": ("Add a term", "Bedingung hinzufügen"),
        "remove.row": ("Remove this term", "Bedingung entfernen"),
        "remove.rule": ("Remove this rule", "Regel entfernen"),
        "add.permission": ("Add a permission", "Erlaubnis hinzufügen"),
        "add.prohibition": ("Add a prohibition", "Verbot hinzufügen"),
        "add.obligation": ("Add an obligation", "Pflicht hinzufügen"),
        "read.back": ("Read it back", "Als Sätze zeigen"),
        "says": ("What it says", "Was gilt"),
        "says.empty": (
            "Nothing yet. The sentences appear here.",
            "Noch nichts. Hier erscheinen die Sätze.",
        ),
        "problem": ("This policy cannot be published.", "So können die Regeln nicht angeboten werden."),
        "warnings": ("Look at this", "Bitte beachten"),
        "conflicts": ("Contradictions", "Widersprüche"),
        "labels": ("What the labels mean", "Was die Kennzeichen bedeuten"),
        "labels.enforced": (
            "this connector keeps it, in what it sends and when",
            "dieser Connector setzt es selbst durch: was er sendet und wann",
        ),
        "labels.signing": (
            "somebody's word, which was checked when the agreement was made",
            "eine Angabe, die geprüft wurde, als die Vereinbarung geschlossen wurde",
        ),
        "labels.promised": (
            "the other side promises it; an audit looks whether it was kept",
            "die andere Seite sagt es zu; eine Prüfung stellt fest, ob sie es einhält",
        ),
        "sees": ("What a consumer would see", "Was Nutzende sähen"),
        "who": ("Participant", "Teilnehmer"),
        "does": ("wants to", "möchte"),
        "purpose": ("for the purpose of", "für den Zweck"),
        "purpose.none": ("no purpose stated", "kein Zweck genannt"),
        "groups": ("Groups", "Gruppen"),
        "region": ("Place", "Sitz"),
        "environment": ("Environment", "Umgebung"),
        "claims": (
            "What the member list states of them",
            "Was die Mitgliederliste über sie aussagt",
        ),
        "try": ("Try it", "Ausprobieren"),
        "yours": ("yours now", "sofort nutzbar"),
        "no": ("no", "nein"),
        "remedy": (
            "The smallest changes that would make it pass",
            "Die kleinsten Änderungen, mit denen es ginge",
        ),
        "or": ("or", "oder"),
        "rows": ("The first rows as they would leave", "Die ersten Zeilen, wie sie geliefert würden"),
        "rows.none": ("No row would leave.", "Keine Zeile würde geliefert."),
        "rows.more": ("More rows follow.", "Weitere Zeilen folgen."),
        "sees.empty": (
            "Name the data above, and the first rows appear here, through the same plan as a stream.",
            "Nennen Sie oben die Daten; hier erscheinen dann die ersten Zeilen, nach demselben Plan wie in "
            "einem Datenstrom.",
        ),
        "touched": ("Whom would this change touch?", "Wen träfe diese Änderung?"),
        "touched.none": (
            "No agreement about this dataset stands.",
            "Zu diesem Datensatz besteht keine Vereinbarung.",
        ),
        "touched.keep": (
            "Agreements that stand keep their terms until you revoke them.",
            "Bestehende Vereinbarungen behalten ihre Bedingungen, bis Sie sie widerrufen.",
        ),
        "consumer": ("Consumer", "Nutzende"),
        "new.agreement": ("New agreement", "Neue Vereinbarung"),
        "reads.now": ("May read now", "Darf jetzt lesen"),
        "streams": ("Open streams", "Offene Datenströme"),
        "yes": ("yes", "ja"),
        "publish": ("4. Publish", "4. Anbieten"),
        "title": ("Title of the dataset", "Titel des Datensatzes"),
        "publish.do": ("Publish with this policy", "Mit diesen Regeln anbieten"),
        "publish.help": (
            "The file above is published with these rules, here and in the shared catalogues.",
            "Die genannte Datei wird mit diesen Regeln angeboten, hier und in den gemeinsamen Katalogen.",
        ),
        "published": ("Published.", "Angeboten."),
        "unchanged": (
            "Published already, with the same rules.",
            "Wird mit denselben Regeln schon angeboten.",
        ),
        "odrl": ("The same as ODRL", "Dasselbe als ODRL"),
        "null": ("empty", "leer"),
        "agreements": ("Agreements", "Vereinbarungen"),
        "agreements.list": ("Who may read what", "Wer was lesen darf"),
        "agreements.none": (
            "No agreement yet. Publish a dataset; who agrees to its policy appears here.",
            "Noch keine Vereinbarung. Bieten Sie einen Datensatz an; wer zustimmt, erscheint hier.",
        ),
        "agreement": ("Agreement", "Vereinbarung"),
        "agreement.id": ("Agreement", "Kennung der Vereinbarung"),
        "given.to": ("given to", "mit"),
        "taken.from": ("taken from", "erhalten von"),
        "state.stands": ("stands", "gilt"),
        "state.ends": ("ends soon", "endet bald"),
        "state.rests": ("rests", "ruht"),
        "state.revoked": ("ended", "beendet"),
        "state.open": ("not final yet", "noch nicht abgeschlossen"),
        "revoked.why": ("Ended:", "Beendet:"),
        "ends.at": ("It ends at", "Sie endet am"),
        "signed": ("Signed", "Geschlossen"),
        "used.rows": ("Rows used", "Genutzte Zeilen"),
        "used.bytes": ("Bytes used", "Genutzte Bytes"),
        "used.requests": ("Streams opened", "Geöffnete Datenströme"),
        "used.epochs": ("Passes begun", "Begonnene Durchläufe"),
        "of": ("of", "von"),
        "epoch": ("Changes since signing", "Änderungen seit dem Abschluss"),
        "terms": ("What was agreed", "Was vereinbart ist"),
        "revoke": ("Revoke this agreement", "Diese Vereinbarung widerrufen"),
        "revoke.notice": (
            "It ends after the notice that was agreed:",
            "Sie endet nach der vereinbarten Frist von",
        ),
        "revoke.now": (
            "It ends at once: open streams stop, and no new one begins. This cannot be undone.",
            "Sie endet sofort: Offene Datenströme brechen ab, und keiner beginnt mehr. Das lässt sich nicht "
            "rückgängig machen.",
        ),
        "reason": ("Reason", "Grund"),
        "reason.help": (
            "The consumer is told, and the log keeps it.",
            "Er wird der anderen Seite mitgeteilt und im Protokoll festgehalten.",
        ),
        "emergency": ("Emergency", "Notfall"),
        "emergency.help": (
            "Why the notice cannot be kept: the agreement then ends at once.",
            "Warum die Frist nicht eingehalten werden kann: Dann endet die Vereinbarung sofort.",
        ),
        "revoke.do": ("Revoke", "Widerrufen"),
        "told.revoked": ("The agreement has ended.", "Die Vereinbarung ist beendet."),
        "told.ends": (
            "The agreement ends after its notice.",
            "Die Vereinbarung endet nach ihrer Frist.",
        ),
        "newer": ("Newer", "Neuere"),
        "older": ("Older", "Ältere"),
        "owed": ("What others owe", "Was andere schulden"),
        "owed.none": ("Nothing is owed.", "Nichts ist offen."),
        "owed.overdue": ("Overdue", "Überfällig"),
        "owed.by": ("Owed by", "Von"),
        "stage": ("State", "Stand"),
        "stage.open": ("open", "offen"),
        "stage.soon": ("due soon", "bald fällig"),
        "stage.overdue": ("overdue", "überfällig"),
        "due": ("Due", "Fällig"),
        "due.none": ("no date", "ohne Termin"),
        "if.overdue": ("If overdue", "Wenn überfällig"),
        "consequence.suspend": ("transfers rest until the receipt comes", "Lieferungen ruhen bis zum Beleg"),
        "consequence.terminate": ("the agreement ends", "die Vereinbarung endet"),
        "wrong": ("That did not work", "Das hat nicht geklappt"),
        "back": ("To the policy page", "Zur Seite der Regeln"),
        "kind.INSTANT": (
            "a time or day, such as 2026-12-01T00:00:00Z",
            "ein Zeitpunkt oder Tag, etwa 2026-12-01T00:00:00Z",
        ),
        "kind.PURPOSE": (
            "one or more DPV purposes, such as dpv:ScientificResearch",
            "ein oder mehrere DPV-Zwecke, etwa dpv:ScientificResearch",
        ),
        "kind.PARTICIPANT": (
            "one or more participant ids, such as did:web:lab.example",
            "eine oder mehrere Teilnehmerkennungen, etwa did:web:lab.example",
        ),
        "kind.SCALAR": (
            "text, number, true or false, day or time",
            "Text, Zahl, true oder false, Tag oder Zeitpunkt",
        ),
        "kind.COLUMN": (
            "one or more column names",
            "ein oder mehrere Spaltennamen",
        ),
        "kind.ONE_COLUMN": (
            "the name of a column",
            "der Name einer Spalte",
        ),
        "kind.MASK": (
            "hash, null, redact, bucket:10, truncate:month or round:2",
            "hash, null, redact, bucket:10, truncate:month oder round:2",
        ),
        "kind.COUNT": (
            "a whole number from 1",
            "eine ganze Zahl ab 1",
        ),
        "kind.GROUP_SIZE": (
            "a whole number from 2",
            "eine ganze Zahl ab 2",
        ),
        "kind.UNIT": (
            "hansa:request, hansa:epoch, hansa:row or hansa:byte",
            "hansa:request, hansa:epoch, hansa:row oder hansa:byte",
        ),
        "kind.RATE": (
            "rows in a period, such as 10000/PT1M",
            "Zeilen je Zeitraum, etwa 10000/PT1M",
        ),
        "kind.PERCENTAGE": (
            "a number above 0 and up to 100",
            "eine Zahl über 0 und bis 100",
        ),
        "kind.DURATION": (
            "an ISO 8601 duration, such as P30D",
            "eine Dauer nach ISO 8601, etwa P30D",
        ),
        "kind.DAYS": (
            "one or more days of the week, such as Monday",
            "ein oder mehrere Wochentage auf Englisch, etwa Monday",
        ),
        "kind.WINDOWS": (
            "one or more windows of the day, such as 08:00-18:00",
            "ein oder mehrere Zeitfenster, etwa 08:00-18:00",
        ),
        "kind.ZONE": (
            "an IANA time zone, such as Europe/Berlin",
            "eine IANA-Zeitzone, etwa Europe/Berlin",
        ),
        "kind.GROUP": (
            "one or more groups, by name or IRI",
            "eine oder mehrere Gruppen, als Name oder IRI",
        ),
        "kind.CLAIM": (
            "one or more values of the claim",
            "ein oder mehrere Werte des Nachweises",
        ),
        "kind.REGION": (
            "one or more regions, such as DE or EU",
            "eine oder mehrere Regionen, etwa DE oder EU",
        ),
        "kind.ENVIRONMENT": (
            "secure-processing-environment, trusted-execution-environment or federated-only",
            "secure-processing-environment, trusted-execution-environment oder federated-only",
        ),
        "kind.GIVEN": (
            "given",
            "given",
        ),
        "kind.TRUE": (
            "true",
            "true",
        ),
        "kind.CONSEQUENCE": (
            "suspend or terminate",
            "suspend oder terminate",
        ),
        "form.operator": (
            "eq, neq, lt, lteq, gt, gteq, isAnyOf or isNoneOf",
            "eq, neq, lt, lteq, gt, gteq, isAnyOf oder isNoneOf",
        ),
    }
)

_FORMS = MappingProxyType(
    {
        "time": "INSTANT",
        "purposes": "PURPOSE",
        "column": "ONE_COLUMN",
        "columns": "COLUMN",
        "value": "SCALAR",
        "count": "COUNT",
        "group_size": "GROUP_SIZE",
        "duration": "DURATION",
        "percentage": "PERCENTAGE",
        "groups": "GROUP",
        "regions": "REGION",
        "environments": "ENVIRONMENT",
    }
)
"""For each form of a template's parameters: the kind of value whose words say how it is written."""


def words(lang: Language) -> Mapping[str, str]:
    """Return everything that the pages say in one language."""
    at = list(Language).index(lang)
    found = {name: both[at] for name, both in WORDS.items()}
    return found | {f"form.{form}": found[f"kind.{kind}"] for form, kind in _FORMS.items()}


class Line(NamedTuple):
    """A sentence on a page, and the language that it is in."""

    text: str
    lang: str


def line(text: str, lang: Language) -> Line:
    """Return a sentence in the language of the page, or as it is, if it carries nothing."""
    told = in_words(text, lang)
    return Line(told, (Language.EN if told == text else lang).value)
