"""What is said about policies, in German: the same messages and slots as in `en`.

Conditions are adverbial phrases, which stand after "nur" as well as inside a sentence; lengths of time stand
in the dative. A promise needs the infinitive with "zu", and its negation its own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

UNITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "years": ("Jahr", "Jahren"),
        "months": ("Monat", "Monaten"),
        "weeks": ("Woche", "Wochen"),
        "days": ("Tag", "Tagen"),
        "hours": ("Stunde", "Stunden"),
        "minutes": ("Minute", "Minuten"),
        "seconds": ("Sekunde", "Sekunden"),
    }
)

MESSAGES: Mapping[str, str | tuple[str, str]] = MappingProxyType(
    {
        # --- kleine Wörter
        "list.and": "und",
        "list.or": "oder",
        "list.nor": "noch",
        "list.more": ("{n} weitere", "{n} weitere"),
        "join.and": " und ",
        "join.or": " oder ",
        "join.xone": "; ",
        # --- wer einen Punkt einhält
        "label.enforced here": "hier durchgesetzt",
        "label.checked at signing": "bei Vertragsschluss geprüft",
        "label.promised, audited": "zugesagt, wird geprüft",
        # --- Bedingungen: sie folgen auf "nur"
        "time.from": "ab {when}",
        "time.after": "nach {when}",
        "time.before": "vor {when}",
        "time.until": "bis einschließlich {when}",
        "time.day": "am {when}",
        "time.instant": "genau zum Zeitpunkt {when}",
        "elapsed.lteq.agreement": "innerhalb von {span} nach Abschluss der Vereinbarung",
        "elapsed.lt.agreement": "in weniger als {span} nach Abschluss der Vereinbarung",
        "elapsed.lteq.delivery": "innerhalb von {span} nach der ersten Lieferung",
        "elapsed.lt.delivery": "in weniger als {span} nach der ersten Lieferung",
        "days": "{days} ({zone})",
        "hours": "von {windows} ({zone})",
        "window": "{start} bis {end} Uhr",
        "day.0": "montags",
        "day.1": "dienstags",
        "day.2": "mittwochs",
        "day.3": "donnerstags",
        "day.4": "freitags",
        "day.5": "samstags",
        "day.6": "sonntags",
        "purpose.exact": "für genau den Zweck {purposes}",
        "purpose.outside": "für Zwecke außerhalb von {purposes}",
        "purpose.under": "für einen Zweck unter {purposes}",
        "purpose.one": "für den Zweck {purposes}",
        "participant": "durch {participants}",
        "group": "durch Mitglieder von {groups}",
        "credential": "durch Inhaber des Nachweises {name} mit {values}",
        "region.isAnyOf": "durch Teilnehmer mit Sitz in {regions}",
        "region.eq": "durch Teilnehmer mit dem Sitz genau in {regions}",
        "environment": "in {environments}",
        "environment.secure-processing-environment": "einer sicheren Verarbeitungsumgebung",
        "environment.trusted-execution-environment": "einer vertrauenswürdigen Ausführungsumgebung",
        "environment.federated-only": "einem Verbund, der keine Zeilen bewegt",
        "all": "({parts})",
        "any": "({parts})",
        "one": "unter genau einer der Bedingungen ({parts})",
        # --- Grenzen der Daten
        "rows": "nur Zeilen, in denen {cell}",
        "cell.eq": "{column} gleich {values} ist",
        "cell.neq": "{column} nicht {values} ist",
        "cell.lt": "{column} kleiner als {values} ist",
        "cell.lteq": "{column} höchstens {values} ist",
        "cell.gt": "{column} größer als {values} ist",
        "cell.gteq": "{column} mindestens {values} ist",
        "cell.isNoneOf": "{column} weder {values} ist",
        "cell.region": "{column} in {regions} liegt",
        "columns": "nur die Spalten {columns}",
        "apart": "die Spalten {columns} nie zusammen, auch nicht nacheinander",
        "mask.hash": "mit {column} als Hashwert unter geheimem Schlüssel",
        "mask.null": "mit leerem {column}",
        "mask.redact": 'mit "[redacted]" anstelle von {column}',
        "mask.bucket": "mit {column} abgerundet auf ein Vielfaches von {step}",
        "mask.truncate": "mit {column} abgerundet auf den Beginn {unit}",
        "mask.round": (
            "mit {column} gerundet auf {n} Nachkommastelle",
            "mit {column} gerundet auf {n} Nachkommastellen",
        ),
        "unit.year": "des Jahres",
        "unit.quarter": "des Quartals",
        "unit.month": "des Monats",
        "unit.week": "der Woche",
        "unit.day": "des Tages",
        "unit.hour": "der Stunde",
        "sample": "eine Stichprobe von {percentage} % der Zeilen, immer dieselben",
        "anonymity": "nur Zeilen, von denen mindestens {n} in {columns} übereinstimmen",
        "aggregate.rows": "keine Zeilen, nur Kennzahlen über Gruppen von mindestens {n} Zeilen",
        "aggregate.subject": (
            "keine Zeilen, nur Kennzahlen über Gruppen von mindestens {n} {column}",
            "keine Zeilen, nur Kennzahlen über Gruppen von mindestens {n} verschiedenen {column}",
        ),
        "consent": "nur Zeilen derer in {column}, die Ihrem Zweck zugestimmt haben",
        "limit.rows": (
            "höchstens {n} Zeile, solange die Vereinbarung gilt",
            "höchstens {n} Zeilen, solange die Vereinbarung gilt",
        ),
        "limit.bytes": (
            "höchstens {n} Byte, solange die Vereinbarung gilt",
            "höchstens {n} Bytes, solange die Vereinbarung gilt",
        ),
        "limit.request": (
            "höchstens {n} Datenstrom, solange die Vereinbarung gilt",
            "höchstens {n} Datenströme, solange die Vereinbarung gilt",
        ),
        "limit.epoch": (
            "höchstens {n} Durchlauf durch die Daten, solange die Vereinbarung gilt",
            "höchstens {n} Durchläufe durch die Daten, solange die Vereinbarung gilt",
        ),
        "limit.rate": ("höchstens {n} Zeile in {span}", "höchstens {n} Zeilen in {span}"),
        # --- ganze Sätze über Regeln
        "for": "dies gilt allein für {party}",
        "nothing": "nichts ist erlaubt",
        "may": "Sie dürfen {actions}",
        "only": "nur {condition}",
        "receive": "Sie erhalten {limit}",
        "receive.filtered": "Sie erhalten {limit}; Zeilen mit leerem {column} entfallen",
        "receive.placed": "Sie erhalten {limit}; Zeilen ohne bekannten Ort entfallen",
        "receive.apart": "Sie erhalten die Spalten {columns} nie zusammen, auch nicht nacheinander",
        "receive.masked": "Sie erhalten die Daten {limit}",
        "may not": "Sie dürfen {action}",
        "may not.when": "Sie dürfen {conditions} {action}",
        "may not.rows": (
            "Sie dürfen {action}, soweit es um Zeilen geht, in denen {cells}; solche Zeilen "
            "verlassen uns nie, auch bei leerer Zelle"
        ),
        "may not.rows.when": (
            "Sie dürfen {conditions} {action}, soweit es um Zeilen geht, in denen {cells}; solche Zeilen "
            "verlassen uns nie, auch bei leerer Zelle"
        ),
        "promise not": "Sie sagen zu, {action}",
        "promise not.when": "Sie sagen zu, {conditions} {action}",
        "promise": "Sie sagen zu, {action}",
        "promise.due": "Sie sagen zu, {due} {action}; {overdue}",
        "due.before": "vor {when}",
        "due.after": "innerhalb von {span} nach der letzten Lieferung",
        "due.every": "im Abstand von {span}",
        "overdue.suspend": "ist das überfällig, wird die Vereinbarung ausgesetzt",
        "overdue.terminate": "ist das überfällig, endet die Vereinbarung",
        "revocable": "der Dateninhaber kann die Vereinbarung jederzeit widerrufen",
        "revocable.notice": "der Dateninhaber kann die Vereinbarung mit einer Frist von {span} widerrufen",
        # --- Entscheidungen
        "permitted": "die Nutzung ist erlaubt",
        "denied": "die Nutzung ist nicht erlaubt",
        "ends": "sie endet am {when}",
        "left.rows": ("{n} Zeile kann noch geliefert werden", "{n} Zeilen können noch geliefert werden"),
        "left.bytes": ("{n} Byte kann noch geliefert werden", "{n} Bytes können noch geliefert werden"),
        "left.requests": (
            "{n} Datenstrom darf noch geöffnet werden",
            "{n} Datenströme dürfen noch geöffnet werden",
        ),
        "left.epochs": (
            "{n} Durchlauf durch die Daten darf noch beginnen",
            "{n} Durchläufe durch die Daten dürfen noch beginnen",
        ),
        "plan.limit": "geliefert werden: {limit}",
        "plan.masked": "geliefert werden die Daten {limit}",
        "plan.branch": "Teil {n} von {most}",
        "plan.excluded": "nie geliefert werden Zeilen, in denen {cells}, auch bei leerer Zelle",
        "unmet": "nicht erfüllt: {condition}",
        "unknown": "nicht feststellbar: {condition}",
        "used up": "aufgebraucht: {limit}",
        "forbidden": "verboten: {rule}",
        "not permitted": "nicht erlaubt: {action}",
        "not for you": "die Vereinbarung gilt allein für {party}",
        # --- warum nicht, und was es möglich machte
        "why.fix": "{why}; {fix}",
        "who.nobody": "ein ungenannter Teilnehmer",
        "who.caller": "dem Anfragenden",
        "why.action.unknown": "die Handlung {action} kann hier nicht erlaubt werden",
        "why.party": "die Regeln gelten für {party}, nicht für: {who}",
        "why.prohibited": "{action} ist verboten",
        "why.prohibited.when": "{action} ist {conditions} verboten",
        "why.prohibited.open": "{action} ist {conditions} verboten ({open})",
        "why.includes": "{prohibition}, und {action} schließt das ein",
        "open.purpose": "angegeben ist {purpose}, was offen lässt, ob das zutrifft",
        "open.unstated": "kein Zweck ist angegeben, was offen lässt, ob das zutrifft",
        "open.caller": "was von {who} bekannt ist, lässt offen, ob das zutrifft",
        "why.used.rows": "{used} von {most} Zeilen dieser Vereinbarung sind verbraucht",
        "why.used.bytes": "{used} von {most} Bytes dieser Vereinbarung sind verbraucht",
        "why.used.requests": "{used} von {most} Datenströmen dieser Vereinbarung sind verbraucht",
        "why.used.epochs": "{used} von {most} Durchgängen dieser Vereinbarung sind verbraucht",
        "why.nothing": "die Regeln erlauben nichts",
        "why.action": "die Handlung {action} ist nicht erlaubt",
        "why.not one": "nicht genau eine dieser Bedingungen gilt: {parts}",
        "why.not all": "nicht alle diese Bedingungen gelten: {parts}",
        "why.none": "keine dieser Bedingungen gilt: {parts}",
        "why.early": "die Nutzung ist {condition} erlaubt, und es ist {now}",
        "why.late": "die Nutzung war {condition} erlaubt, und es ist {now}",
        "why.elapsed": "die Nutzung war {condition} erlaubt, das war um {began}, und es ist {now}",
        "why.elapsed.unknown": "die Nutzung ist {condition} erlaubt, und es ist nicht bekannt, wann das war",
        "why.hours": "die Nutzung ist {condition} erlaubt, und dort ist es {day}, {time} Uhr",
        "weekday.0": "Montag",
        "weekday.1": "Dienstag",
        "weekday.2": "Mittwoch",
        "weekday.3": "Donnerstag",
        "weekday.4": "Freitag",
        "weekday.5": "Samstag",
        "weekday.6": "Sonntag",
        "why.participant": "{who} gehört nicht zu den Teilnehmern dieser Erlaubnis",
        "why.group": "es ist nicht bekannt, dass {who} zu {groups} gehört",
        "why.credential": "die Mitgliederliste nennt {name} nicht als {values}: {who}",
        "why.credential.other": (
            "die Mitgliederliste nennt {name} nicht als {values}, sondern als {stated}: {who}"
        ),
        "why.region": "der Sitz ist {place} ({who}), und die Nutzung ist {condition} erlaubt",
        "why.region.unknown": "kein Sitz ist bekannt ({who}), und die Nutzung ist {condition} erlaubt",
        "why.environment": (
            "die bekannte Verarbeitungsumgebung ist {environment} ({who}), und die Nutzung ist "
            "{condition} erlaubt"
        ),
        "why.environment.unknown": (
            "keine Verarbeitungsumgebung ist bekannt ({who}), und die Nutzung ist {condition} erlaubt"
        ),
        "why.purpose": "der Zweck {purpose} passt nicht: die Nutzung ist {condition} erlaubt",
        "why.purpose.unknown": (
            "der Zweck {purpose} ist hier unbekannt, und die Nutzung ist {condition} erlaubt"
        ),
        "why.purpose.unstated": "kein Zweck ist angegeben, und die Nutzung ist {condition} erlaubt",
        "join.fix.and": ", und ",
        "join.fix.or": ", oder ",
        "fix.several": "{fixes}",
        "fix.example": "{fix}, zum Beispiel {example}",
        "fix.new": "handeln Sie eine neue Vereinbarung aus",
        "fix.own": "handeln Sie eine eigene Vereinbarung aus",
        "fix.dated": "handeln Sie eine Vereinbarung aus, die ihre Zeit nennt",
        "fix.offer": "bitten Sie um ein Angebot mit einer Erlaubnis",
        "fix.again": "fragen Sie ab {when} noch einmal",
        "fix.action": "bitten Sie um {actions}",
        "fix.action.known": "nennen Sie {actions}",
        "fix.action.instead": "bitten Sie stattdessen um {actions}",
        "fix.purpose": "nennen Sie den Zweck {purposes}",
        "fix.purpose.under": "nennen Sie einen Zweck unter {purposes}",
        "fix.purpose.outside": "nennen Sie einen Zweck ganz außerhalb von {purposes}",
        "fix.purpose.other": "nennen Sie einen anderen Zweck, zum Beispiel {purpose}",
        "fix.participants": "offen ist es für {participants}",
        "fix.group": "bitten Sie die Aufsicht des Datenraums, Sie in {groups} aufzunehmen",
        "fix.credential": "bitten Sie die Aufsicht des Datenraums, {name} als {values} zu nennen",
        "fix.region": "bitten Sie die Aufsicht des Datenraums, einen Sitz in {regions} zu nennen",
        "fix.environment": "weisen Sie der Aufsicht des Datenraums nach: {environments}",
        "why.figures": "das Angebot gibt Kennzahlen über Gruppen von mindestens {n} frei, und keine Zeilen",
        "why.no offer": "es gibt kein Angebot dafür",
        "why.unjudged": "der Katalog kann dieses Angebot nicht beurteilen: {problem}",
        "fix.groups": "bitten Sie um Gruppen statt um Zeilen, wie die Zeile unten es tut",
        "fix.yourself": (
            "es hängt davon ab, was die Mitgliederliste über Sie sagt: fragen Sie über Ihren Connector"
        ),
        # --- warum ein Datenstrom vor den Daten endet
        "end.stream": (
            "der Datenstrom endete nach {n} Zeile ({kind}): {reason}",
            "der Datenstrom endete nach {n} Zeilen ({kind}): {reason}",
        ),
        "end.rows": "die Vereinbarung erlaubt insgesamt {most} Zeilen, und sie sind verbraucht",
        "end.bytes": (
            "die Vereinbarung erlaubt insgesamt {most} Bytes; in die übrigen {left} passt keine Zeile mehr"
        ),
        "end.rate": (
            "die Vereinbarung erlaubt {n} Zeile in {span}; weiter geht es ab {when}",
            "die Vereinbarung erlaubt {n} Zeilen in {span}; weiter geht es ab {when}",
        ),
        "end.expired": "die Erlaubnis endete um {when}",
        "end.revoked": "die Vereinbarung {agreement} wurde widerrufen: {reason}",
        "end.suspended": "die Übertragung {transfer} ist ausgesetzt: {reason}",
        "end.terminated": "die Übertragung {transfer} wurde beendet: {reason}",
        "end.completed": "die Übertragung {transfer} ist abgeschlossen; bitten Sie um eine neue",
        "end.not started": "die Übertragung {transfer} hat noch nicht begonnen",
        "end.agreement": "die Vereinbarung wurde widerrufen: {reason}",
        "end.overdue": (
            "überfällige Verpflichtung: {action} ({place}) der Vereinbarung {agreement} war fällig: {when}; "
            "senden Sie die Quittung: {command}"
        ),
        "end.untaken": (
            "die Adresse der Anfrage hat die Daten nicht angenommen; bitten Sie um eine neue Übertragung, "
            "oder holen Sie die Daten ab"
        ),
        "end.failed": (
            "beim Anbieter ist etwas fehlgeschlagen und dort protokolliert; "
            "bitten Sie um eine neue Übertragung"
        ),
        "end.changed": "was der Datenraum über {who} sagt, hat sich geändert: {reasons}",
        "end.outgrown": (
            "was der Datenraum über {who} sagt, hat sich geändert, und damit, was gelesen werden darf; "
            "öffnen Sie den Datenstrom neu, von der ersten Zeile an"
        ),
        # --- Widersprüche
        "text": "{text}",
        "rule.bare": "{action}",
        "rule.terms": "{action} ({parts})",
        "clash.never": "{place} kann nie gelten: {why}",
        "clash.forbidden": "{place} ({rule}) ist durch {other} immer verboten ({prohibition})",
        "clash.forbidden.other": (
            "{place} ({rule}) ist durch {other} der anderen Policy immer verboten ({prohibition})"
        ),
        "clash.apart": "{place} und {other} der anderen Policy gelten nie zugleich: {why}",
        "clash.refused": "{clashes}; ändern oder entfernen Sie eines davon",
        "label.warning": "Warnung",
        "label.conflict": "Widerspruch",
        # --- um eine Entscheidung herum
        "note.varies": (
            "jede Vereinbarung hat eigene Hashwerte und eine eigene Stichprobe; diese gehören zu keiner"
        ),
        "note.apart": (
            "unter Spalten, die getrennt bleiben, wird beim Lesen gewählt; hier fehlt jeweils die letzte"
        ),
        "well formed": ("wohlgeformt, {n} Satz", "wohlgeformt, {n} Sätze"),
        "remedies": "die kleinsten Änderungen, mit denen sie erlaubt wäre:",
        "remedies.none": "mit einer oder zwei Änderungen ist es nicht getan",
        # --- wie ein Wert für eine Vorlage geschrieben wird
        "form.time": "ein Zeitpunkt wie 2026-12-01T00:00:00Z, oder ein Datum für den ganzen Tag",
        "form.purposes": "ein oder mehrere DPV-Zwecke wie 'ScientificResearch'",
        "form.column": "der Name einer Spalte",
        "form.columns": "ein oder mehrere Spaltennamen",
        "form.operator": "eines von {operators}",
        "form.value": "Text, Zahl, true oder false, Datum, oder eine Liste davon",
        "form.count": "eine ganze Zahl ab 1",
        "form.group_size": "eine ganze Zahl ab 2",
        "form.duration": "eine Dauer nach ISO 8601 wie P30D",
        "form.percentage": "eine Zahl über 0 und bis 100",
        "form.groups": "eine oder mehrere Gruppen, als Name oder IRI",
        "form.regions": "eine oder mehrere Regionen wie DE oder EU",
        "form.environments": (
            "eines oder mehrere von secure-processing-environment, trusted-execution-environment, "
            "federated-only"
        ),
        "template.needs": "Vorlage {name} braucht die Angabe {parameter}: {form}",
        "template.value": "Vorlage {name}, Angabe {parameter}: verlangt ist {form}; da steht {value}",
        "template.wrong": "Vorlage {name}, Angabe {parameter}: verlangt ist {form}: {why}",
        "more rows": "weitere Zeilen folgen",
        "answer.yours now": "sofort nutzbar",
        "answer.after a step": "nach einem Schritt",
        "answer.no": "nein",
        "answer.unknown": "unbekannt",
        "found.title": "Titel",
        "found.dataset": "Datensatz",
        "found.rows": "Zeilen",
        "found.may": "Darf ich?",
        "found.nothing": "nichts gefunden; versuchen Sie es mit weniger Wörtern",
        "found.for": "entschieden für {whom}",
        "found.for nobody": "für niemand Bestimmten entschieden",
        "found.some": "{shown} von {n}; mehr mit --most",
        "form.optional": "optional",
        "form.default": "Vorgabe: {value}",
        # --- Änderungen, mit denen eine Nutzung erlaubt wäre
        "change.purpose": "den Zweck {purpose} angeben",
        "change.action": "nur diese Nutzung anfragen: {action}",
        "change.time": "bis {when} warten",
        "change.agreement": "eine neue Vereinbarung aushandeln",
        "change.group": "in der Mitgliederliste als Mitglied von {group} stehen",
        "change.credential": "in der Mitgliederliste {name} mit {value} nachweisen",
        "change.region": "den Sitz in {region} haben, wie ihn die Mitgliederliste nennt",
        "change.environment": "die Daten in {environment} verarbeiten, wie es die Mitgliederliste nennt",
        "change.party": "{party} fragen lassen",
        "change.term": "der Dateninhaber streicht: {term}",
        "change.prohibition": "der Dateninhaber streicht: {rule}",
        # --- Handlungen: wie sie auf "Sie dürfen" und "Sie sagen zu" folgen
        "may.odrl:use": "die Daten nutzen",
        "may.hansa:train": "mit den Daten Modelle trainieren oder nachtrainieren",
        "may.hansa:fineTune": "mit den Daten vorhandene Modelle nachtrainieren",
        "may.hansa:trainGenerative": "mit den Daten generative Modelle trainieren",
        "may.hansa:evaluate": "mit den Daten Modelle bewerten",
        "may.hansa:analyse": "die Daten auswerten",
        "may.hansa:rag": "in den Daten nachschlagen, während ein Modell antwortet",
        "may.odrl:distribute": "die Daten weitergeben",
        "may.odrl:derive": "aus den Daten abgeleitete Werke veröffentlichen",
        "may.odrl:reproduce": "dauerhafte Kopien der Daten anlegen",
        "may.odrl:transfer": "das Eigentum an den Daten übertragen",
        "may.odrl:sell": "die Daten verkaufen",
        "may.odrl:give": "die Daten verschenken",
        "may not.odrl:use": "die Daten nicht nutzen",
        "may not.hansa:train": "mit den Daten keine Modelle trainieren oder nachtrainieren",
        "may not.hansa:fineTune": "mit den Daten keine vorhandenen Modelle nachtrainieren",
        "may not.hansa:trainGenerative": "mit den Daten keine generativen Modelle trainieren",
        "may not.hansa:evaluate": "mit den Daten keine Modelle bewerten",
        "may not.hansa:analyse": "die Daten nicht auswerten",
        "may not.hansa:rag": "nicht in den Daten nachschlagen, während ein Modell antwortet",
        "not to.odrl:distribute": "die Daten nicht weiterzugeben",
        "not to.odrl:derive": "keine aus den Daten abgeleiteten Werke zu veröffentlichen",
        "not to.odrl:reproduce": "keine dauerhaften Kopien der Daten anzulegen",
        "not to.odrl:transfer": "das Eigentum an den Daten nicht zu übertragen",
        "not to.odrl:sell": "die Daten nicht zu verkaufen",
        "not to.odrl:give": "die Daten nicht zu verschenken",
        "to.odrl:delete": "die Daten zu löschen",
        "to.odrl:attribute": "den Anbieter als Quelle der Daten zu nennen",
        "to.odrl:inform": "dem Anbieter mitzuteilen, wie die Daten genutzt wurden",
        "to.odrl:nextPolicy": "die Daten nur unter denselben Bedingungen weiterzugeben",
    }
)
