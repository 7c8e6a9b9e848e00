"""Why a policy is refused, or warned of: a line in English and one in German for each thing that is wrong.

The lowest floor, since values are refused where they are read. A refusal is an English sentence that carries
its id and what fills it; `policies.words` tells it in other languages. What fills it is text, told as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from policies.unread import UNREAD
from schemas.worded import MOST_TOLD, Worded

PREFIX = "refused."
"""How the ids of refusals begin among the messages."""
MOST_SLOT = 1000
"""Characters of a value that is carried."""

REFUSALS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **UNREAD,
        "time": (
            "{place}: {text}{kind} is not a time; write one like 2026-12-01T00:00:00Z",
            "{place}: {text}{kind} ist kein Zeitpunkt; schreiben Sie zum Beispiel 2026-12-01T00:00:00Z",
        ),
        "plain": (
            "{place}: {value} is not a plain value; write text, a number, true or false",
            "{place}: {value} ist kein einfacher Wert; schreiben Sie Text, eine Zahl, true oder false",
        ),
        "typed": (
            "{place}: {text} is not a value of type {item}; write an xsd:string, integer, decimal, "
            "boolean, date or dateTime that fits",
            "{place}: {text} ist kein Wert vom Typ {item}; schreiben Sie ein passendes xsd:string, "
            "integer, decimal, boolean, date oder dateTime",
        ),
        "incomparable": (
            "{place}: a column of type {item} cannot be compared with a value; filter on a column "
            "of text, numbers, truth values, dates or timestamps",
            "{place}: eine Spalte vom Typ {item} lässt sich mit keinem Wert vergleichen; filtern "
            "Sie nach einer Spalte mit Text, Zahlen, Wahrheitswerten, Daten oder Zeitpunkten",
        ),
        "unfit": (
            "{place}: {item} does not fit a column of type {item2}; write {wanted}",
            "{place}: {item} passt nicht zu einer Spalte vom Typ {item2}; schreiben Sie {wanted}",
        ),
        "no value": (
            "{place}: no value; write at least one",
            "{place}: kein Wert; schreiben Sie mindestens einen",
        ),
        "many values": (
            "{place}: {items} values; at most {most_values} are taken",
            "{place}: {items} Werte; höchstens {most_values} werden angenommen",
        ),
        "text": (
            "{place}: {value} is not text; write a non-empty string",
            "{place}: {value} ist kein Text; schreiben Sie eine nicht leere Zeichenkette",
        ),
        "long text": (
            "{place}: text of {value} characters; at most {most_text} are taken",
            "{place}: Text aus {value} Zeichen; höchstens {most_text} werden angenommen",
        ),
        "count": (
            "{place}: {value} is not a count; write a whole number from 1 to 2^53",
            "{place}: {value} ist keine Anzahl; schreiben Sie eine ganze Zahl von 1 bis 2^53",
        ),
        "wide": (
            "{place}: {number} is beyond 64 bits; write a smaller number",
            "{place}: {number} überschreitet 64 Bit; schreiben Sie eine kleinere Zahl",
        ),
        "number": (
            "{place}: {text} is not a number; write one like 12.5",
            "{place}: {text} ist keine Zahl; schreiben Sie zum Beispiel 12.5",
        ),
        "digits": (
            "{place}: {text} is too long or too large; {most_digits} digits are exact here",
            "{place}: {text} ist zu lang oder zu groß; genau sind hier {most_digits} Stellen",
        ),
        "long value": (
            "{place}: text of {text} characters; at most {most_text} are taken",
            "{place}: Text aus {text} Zeichen; höchstens {most_text} werden angenommen",
        ),
        "date": (
            "{place}: {text} is not a date; write one like 2026-12-01",
            "{place}: {text} ist kein Datum; schreiben Sie zum Beispiel 2026-12-01",
        ),
        "duration": (
            "{place}: {text}{kind} is not a duration; write one like P30D or PT12H",
            "{place}: {text}{kind} ist keine Dauer; schreiben Sie zum Beispiel P30D oder PT12H",
        ),
        "long duration": (
            "{place}: {text} is longer than {most_years} years; write a shorter one",
            "{place}: {text} dauert länger als {most_years} Jahre; schreiben Sie eine kürzere Dauer",
        ),
        "no duration": (
            "{place}: {text} lasts no time; write one like P30D or PT12H",
            "{place}: {text} dauert keine Zeit; schreiben Sie zum Beispiel P30D oder PT12H",
        ),
        "mask": (
            "{place}: no mask is called {said}; write {masks}",
            "{place}: keine Maske heißt {said}; schreiben Sie {masks}",
        ),
        "mask argument": (
            "{place}: mask {kind} takes no argument; leave {said} out",
            "{place}: die Maske {kind} nimmt nichts entgegen; lassen Sie {said} weg",
        ),
        "mask truncate": (
            "{place}: cannot truncate to {said}; write one of {units}, for example 'truncate:month'",
            "{place}: auf {said} kann nicht gekürzt werden; schreiben Sie eines von {units}, zum "
            "Beispiel 'truncate:month'",
        ),
        "mask bucket": (
            "{place}: a bucket of {said} has no width; write a number above 0, for example 'bucket:10'",
            "{place}: ein Abschnitt von {said} hat keine Breite; schreiben Sie eine Zahl über 0, "
            "zum Beispiel 'bucket:10'",
        ),
        "mask round": (
            "{place}: cannot round to {said} digits; write a whole number from -{most_digits} to "
            "{most_digits}, for example 'round:2'",
            "{place}: auf {said} Stellen kann nicht gerundet werden; schreiben Sie eine ganze Zahl "
            "von -{most_digits} bis {most_digits}, zum Beispiel 'round:2'",
        ),
        "region": (
            "{place}: {item} is no region that we know; write an ISO 3166-1 code such as DE, a "
            "subdivision such as DE-BY, or one of {unions}",
            "{place}: {item} ist keine Region, die wir kennen; schreiben Sie einen ISO-3166-1-Code "
            "wie DE, einen Landesteil wie DE-BY oder eines von {unions}",
        ),
        "zone": (
            "{place}: no time zone is called {item}; {hint}",
            "{place}: keine Zeitzone heißt {item}; {hint}",
        ),
        "purpose": (
            "{item} is not a purpose of {dpv_version}; known: {shown}",
            "{item} ist kein Zweck aus {dpv_version}; bekannt: {shown}",
        ),
        "action unknown": (
            "unknown action {item}; known: {known}",
            "unbekannte Handlung {item}; bekannt: {known}",
        ),
        "zoneless": (
            "{where}: {said} names no time zone and is taken as UTC; write {item}Z to say so",
            "{where}: {said} nennt keine Zeitzone und gilt als UTC; schreiben Sie {item}Z, um das zu sagen",
        ),
        "single": (
            "{where}: {items} values where one is meant; write one, or use isAnyOf",
            "{where}: {items} Werte, wo einer gemeint ist; schreiben Sie einen, oder verwenden Sie isAnyOf",
        ),
        "participant": (
            "{where}: {name} is no participant id; write one like did:web:lab.example",
            "{where}: {name} ist keine Teilnehmerkennung; schreiben Sie zum Beispiel did:web:lab.example",
        ),
        "name": (
            "{where}: {name} is no {what}; write at most {most_names} printable characters, "
            "without spaces around them",
            "{where}: {name} ist ungültig als {what}; schreiben Sie höchstens {most_names} "
            "druckbare Zeichen, ohne Leerzeichen am Rand",
        ),
        "environment": (
            "{where}: no environment is called {name}; known: {environments}",
            "{where}: keine Umgebung heißt {name}; bekannt: {environments}",
        ),
        "after all": (
            "{where}: nothing comes after {value}; write an earlier time",
            "{where}: nach {value} kommt nichts; schreiben Sie einen früheren Zeitpunkt",
        ),
        "often": (
            "{where}: {text} is too often; write at least PT1H",
            "{where}: {text} ist zu oft; schreiben Sie mindestens PT1H",
        ),
        "only true": (
            "{where}: {value} cannot be kept; write true, or leave the term out",
            "{where}: {value} kann nicht eingehalten werden; schreiben Sie true, oder lassen Sie "
            "die Bestimmung weg",
        ),
        "below one": (
            "{where}: 'lt 1' allows nothing; write lteq 1, or leave the permission out",
            "{where}: 'lt 1' erlaubt nichts; schreiben Sie lteq 1, oder lassen Sie die Erlaubnis weg",
        ),
        "unit": (
            "{where}: cannot count {said}; known: hansa:request, hansa:epoch, hansa:row, hansa:byte",
            "{where}: {said} lässt sich nicht zählen; bekannt: hansa:request, hansa:epoch, "
            "hansa:row, hansa:byte",
        ),
        "group size": (
            "{where}: a group of {size} hides nobody; write a whole number from 2",
            "{where}: eine Gruppe von {size} verbirgt niemanden; schreiben Sie eine ganze Zahl ab 2",
        ),
        "rate": (
            "{where}: {said} is no rate; write rows/period, such as 10000/PT1M",
            "{where}: {said} ist keine Rate; schreiben Sie Zeilen/Zeitraum, zum Beispiel 10000/PT1M",
        ),
        "months": (
            "{where}: months differ in length; write the period in days, such as P30D",
            "{where}: Monate sind verschieden lang; schreiben Sie den Zeitraum in Tagen, zum Beispiel P30D",
        ),
        "rate period": (
            "{where}: {item} is no period for a rate; write one from PT1S to P366D",
            "{where}: {item} ist kein Zeitraum für eine Rate; schreiben Sie einen von PT1S bis P366D",
        ),
        "percentage": (
            "{where}: {said} is no percentage; write a number above 0 and up to 100",
            "{where}: {said} ist kein Prozentsatz; schreiben Sie eine Zahl über 0 und bis 100",
        ),
        "fine": (
            "{where}: {said} is finer than 4 decimal digits; write fewer",
            "{where}: {said} ist feiner als 4 Nachkommastellen; schreiben Sie weniger",
        ),
        "says nothing": (
            "{where}: {said} says nothing here; write {repr}",
            "{where}: {said} sagt hier nichts; schreiben Sie {repr}",
        ),
        "no condition": (
            "cannot enforce {name} in {place}; it is no condition on the use",
            "{name} in {place} kann nicht durchgesetzt werden; es ist keine Bedingung der Nutzung",
        ),
        "day": (
            "{where}: {name} is no day of the week; write {days}",
            "{where}: {name} ist kein Wochentag; schreiben Sie {days}",
        ),
        "window": (
            "{where}: {said} is no window of the day; write one like 08:00-18:00",
            "{where}: {said} ist kein Zeitfenster des Tages; schreiben Sie zum Beispiel 08:00-18:00",
        ),
        "empty window": (
            "{where}: {said} ends when it starts; for the whole day leave it out, else write one "
            "like 08:00-18:00",
            "{where}: {said} endet, wenn es beginnt; lassen Sie es für den ganzen Tag weg, sonst "
            "schreiben Sie zum Beispiel 08:00-18:00",
        ),
        "subdivision": (
            "{where}: rows are told apart by country, not by subdivisions such as {code}; write a "
            "country, or filter with hansa:column/",
            "{where}: Zeilen werden nach Ländern unterschieden, nicht nach Landesteilen wie "
            "{code}; schreiben Sie ein Land, oder filtern Sie mit hansa:column/",
        ),
        "never opens": (
            "{place}: its time window never opens: it begins at {opens} and has ended at {closes}; "
            "change one of the two odrl:dateTime",
            "{place}: das Zeitfenster öffnet sich nie: es beginnt um {opens} und ist um {closes} "
            "zu Ende; ändern Sie eines der beiden odrl:dateTime",
        ),
        "no columns": (
            "{place}: its column lists have no column in common, so nothing could be released",
            "{place}: die Spaltenlisten haben keine Spalte gemeinsam, also könnte nichts freigegeben werden",
        ),
        "two consents": (
            "{place} asks for consent by {other}, {place2} by {one}; name one column of subjects",
            "{place} verlangt Zustimmung nach {other}, {place2} nach {one}; nennen Sie eine Spalte "
            "der Betroffenen",
        ),
        "no days": (
            "{place}: its hansa:dayOfWeek have no day in common; write one list",
            "{place}: die hansa:dayOfWeek haben keinen Tag gemeinsam; schreiben Sie eine Liste",
        ),
        "hidden mask": (
            "{place} masks column {column}, which the column list of {place2} hides; add it to the "
            "list, or leave the mask out",
            "{place} maskiert die Spalte {column}, die die Spaltenliste von {place2} verbirgt; "
            "nehmen Sie sie in die Liste auf, oder lassen Sie die Maske weg",
        ),
        "hidden apart": (
            "{place} keeps {item} apart, which the column list of {place2} hides; leave it out",
            "{place} hält {item} getrennt, was die Spaltenliste von {place2} verbirgt; lassen Sie es weg",
        ),
        "hidden quasi": (
            "{place} counts by {item}, which the column list of {place2} hides; name only "
            "quasi-identifiers that are released",
            "{place} zählt nach {item}, was die Spaltenliste von {place2} verbirgt; nennen Sie nur "
            "Quasi-Identifikatoren, die freigegeben werden",
        ),
        "repeats": (
            "{place} repeats {name} of {place2}; write one",
            "{place} wiederholt {name} von {place2}; schreiben Sie eines",
        ),
        "emptied quasi": (
            "{place} counts by {item}, which is left empty by a mask; leave it out of the quasi-identifiers",
            "{place} zählt nach {item}, was eine Maske leert; nehmen Sie es aus den "
            "Quasi-Identifikatoren heraus",
        ),
        "no rows": (
            "{place} is about rows, and by {place2} no row leaves; leave it out",
            "{place} handelt von Zeilen, und nach {place2} geht keine Zeile hinaus; lassen Sie es weg",
        ),
        "member": (
            "cannot enforce {name} in {place}; known there: {known_members}",
            "{name} in {place} kann nicht durchgesetzt werden; bekannt ist dort: {known_members}",
        ),
        "operand": (
            "cannot enforce {spelled} in {place}; known: {known}",
            "{spelled} in {place} kann nicht durchgesetzt werden; bekannt: {known}",
        ),
        "operator": (
            "cannot enforce operator {operator} of {name} in {place}; known: {known}",
            "der Operator {operator} von {name} in {place} kann nicht durchgesetzt werden; bekannt: {known}",
        ),
        "stands": (
            "cannot enforce {left_operand} in {place}; it is {stands}",
            "{left_operand} in {place} kann nicht durchgesetzt werden; es ist {stands}",
        ),
        "sequence": (
            "cannot enforce 'andSequence' in {place}; known: and, or, xone",
            "'andSequence' in {place} kann nicht durchgesetzt werden; bekannt: and, or, xone",
        ),
        "no quasi": (
            "{where} does not say among which columns; write hansa:quasiIdentifiers isAllOf beside it",
            "{where} sagt nicht, unter welchen Spalten; schreiben Sie hansa:quasiIdentifiers isAllOf daneben",
        ),
        "said twice also": (
            "{where} is said twice, also in {place}; write one",
            "{where} steht zweimal da, auch in {place}; schreiben Sie eines",
        ),
        "explains directly": (
            "{where} explains nothing there; write it directly in the rule",
            "{where} erklärt dort nichts; schreiben Sie es unmittelbar in die Regel",
        ),
        "explains beside": (
            "{where} explains nothing there; write it beside {partners}, in the same rule",
            "{where} erklärt dort nichts; schreiben Sie es in derselben Regel neben {partners}",
        ),
        "alone apart": (
            "{where}: one column is never together with itself; write two or more",
            "{where}: eine Spalte steht nie mit sich selbst zusammen; schreiben Sie zwei oder mehr",
        ),
        "no rule": (
            "policy has neither permission nor prohibition; write at least one permission",
            "die Regeln enthalten weder Erlaubnis noch Verbot; schreiben Sie mindestens eine Erlaubnis",
        ),
        "rule type": (
            "cannot enforce a rule of type {said} in {place}; known: {name}",
            "eine Regel vom Typ {said} in {place} kann nicht durchgesetzt werden; bekannt: {name}",
        ),
        "duty": (
            "cannot enforce 'duty' in {place}; write it as an 'obligation' of the policy",
            "'duty' in {place} kann nicht durchgesetzt werden; schreiben Sie es als 'obligation' der Policy",
        ),
        "action": (
            "cannot enforce action {action} in {place}; known in a {kind}: {known}",
            "die Handlung {action} in {place} kann nicht durchgesetzt werden; bekannt in {kind}: {known}",
        ),
        "revocable twice": (
            "{place} repeats {place2}; say once that it is revocable",
            "{place} wiederholt {place2}; sagen Sie einmal, dass widerrufen werden kann",
        ),
        "due twice": (
            "{place} is due once after {place2}, or again and again by {place3}; write one of them",
            "{place} ist einmal fällig nach {place2}, oder immer wieder nach {place3}; schreiben "
            "Sie eines davon",
        ),
        "profile": (
            "cannot enforce profile {named}; known: {known}",
            "das Profil {named} kann nicht durchgesetzt werden; bekannt: {known}",
        ),
        "policy member": (
            "cannot enforce {name} in {place}; known there: {known}",
            "{name} in {place} kann nicht durchgesetzt werden; bekannt ist dort: {known}",
        ),
        "in obligation": (
            "cannot enforce {name} in {place}; it stands in an obligation",
            "{name} in {place} kann nicht durchgesetzt werden; es gehört in eine Verpflichtung",
        ),
        "out of sight": (
            "cannot enforce a row filter in {place}: {name} happens out of our sight; prohibit "
            "odrl:use of these rows, or leave the filter out",
            "ein Zeilenfilter in {place} kann nicht durchgesetzt werden: {name} geschieht "
            "außerhalb unserer Sicht; verbieten Sie odrl:use dieser Zeilen, oder lassen Sie den "
            "Filter weg",
        ),
        "duty constraint": (
            "cannot enforce this constraint in {item}; an obligation takes odrl:dateTime with lt "
            "or lteq, odrl:delayPeriod, odrl:timeInterval and hansa:consequence",
            "diese Bedingung in {item} kann nicht durchgesetzt werden; eine Verpflichtung nimmt "
            "odrl:dateTime mit lt oder lteq, odrl:delayPeriod, odrl:timeInterval und "
            "hansa:consequence",
        ),
        "prohibition constraint": (
            "cannot enforce {left_operand} in {item}; a prohibition takes conditions on the use, "
            "and row filters (hansa:column/, hansa:rowSpatial/)",
            "{left_operand} in {item} kann nicht durchgesetzt werden; ein Verbot nimmt Bedingungen "
            "der Nutzung und Zeilenfilter (hansa:column/, hansa:rowSpatial/)",
        ),
        "said twice": (
            "{where} is said twice; write one",
            "{where} steht zweimal da; schreiben Sie eines",
        ),
        "mask column": (
            "{place}: mask '{text}' cannot be kept on column {column} of type {item}; it takes {wanted}",
            "{place}: die Maske '{text}' lässt sich auf die Spalte {column} vom Typ {item} nicht "
            "anwenden; sie braucht {wanted}",
        ),
        "text column": (
            "{place}: column {column} is of type {item}; it takes a column of text with {what}",
            "{place}: die Spalte {column} ist vom Typ {item}; nötig ist eine Spalte mit Text: {what}",
        ),
        "subject column": (
            "{place}: column {column} of type {item} cannot name subjects; it takes a column of "
            "text or whole numbers",
            "{place}: die Spalte {column} vom Typ {item} kann keine Betroffenen nennen; nötig ist "
            "eine Spalte mit Text oder ganzen Zahlen",
        ),
        "group column": (
            "{place}: rows cannot be grouped by column {column} of type {item}; it takes a column "
            "of plain values",
            "{place}: nach der Spalte {column} vom Typ {item} lassen sich Zeilen nicht gruppieren; "
            "nötig ist eine Spalte mit einfachen Werten",
        ),
        "truth values": (
            "{place}: '{operator}' has no meaning for the truth values of {column}; write eq or neq",
            "{place}: '{operator}' bedeutet für die Wahrheitswerte von {column} nichts; schreiben "
            "Sie eq oder neq",
        ),
        "no statistics": (
            "{place}: besides {subject} the data have no column to make statistics of",
            "{place}: außer {subject} haben die Daten keine Spalte für Kennzahlen",
        ),
        "no column": (
            "{place} names column {name}, which the data lack; columns: {existing}",
            "{place} nennt die Spalte {name}, die den Daten fehlt; Spalten: {existing}",
        ),
        "near column": (
            "{place} names column {name}, which the data lack; did you mean {near}? columns: {existing}",
            "{place} nennt die Spalte {name}, die den Daten fehlt; meinten Sie {near}? Spalten: {existing}",
        ),
        "column twice": (
            "{place} names column {name}, which the data hold twice; rename one",
            "{place} nennt die Spalte {name}, die die Daten zweimal enthalten; benennen Sie eine um",
        ),
        "consent columns": (
            "{place}: consent is asked for in {repr}; name one column of subjects",
            "{place}: die Zustimmung wird in {repr} gesucht; nennen Sie eine Spalte der Betroffenen",
        ),
        "subject columns": (
            "{place}: subjects are counted by several columns; name one",
            "{place}: Betroffene werden nach mehreren Spalten gezählt; nennen Sie eine",
        ),
    }
)


def refusal(id: str, **slots: object) -> str:
    """Return why something is refused, in English, carrying what it says; bare if that is too long."""
    given = {name: value if type(value) is int else str(value) for name, value in slots.items()}
    text = REFUSALS[id][0].format(**{name: _plain(value) for name, value in given.items()})
    carried = json.dumps({"code": PREFIX + id, "with": given}, ensure_ascii=False, separators=(",", ":"))
    if len(carried) > MOST_TOLD or any(
        isinstance(value, str) and len(value) > MOST_SLOT for value in given.values()
    ):
        return text
    return Worded(text, carried)


def _plain(value: int | str) -> str:
    """Write a number as English does; other languages have signs of their own."""
    return value if isinstance(value, str) else f"{value:,}"


def table(language: int) -> dict[str, str]:
    """Return the messages of one language: 0 English, 1 German."""
    return {PREFIX + id: forms[language] for id, forms in REFUSALS.items()}
