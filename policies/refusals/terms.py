"""What is wrong with the value of a term."""

from __future__ import annotations

TERMS: dict[str, tuple[str, str]] = {
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
        "{where}: {said} lässt sich nicht zählen; bekannt: hansa:request, hansa:epoch, hansa:row, hansa:byte",
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
}
