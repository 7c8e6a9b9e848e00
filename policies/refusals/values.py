"""What is wrong with a value, wherever it stands."""

from __future__ import annotations

VALUES: dict[str, tuple[str, str]] = {
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
}
