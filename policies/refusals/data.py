"""What is wrong with an offer for the data that it is about, or with how they are published."""

from __future__ import annotations

DATA: dict[str, tuple[str, str]] = {
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
    "mask type": (
        "mask on {column}: values of type {item} cannot be {can}; {fix}",
        "Maske auf {column}: Werte vom Typ {item} lassen sich so nicht verdecken ({can}); {fix}",
    ),
    "hidden column": (
        "people cannot be hidden among others by {column} of type {item}; name columns of text, "
        "numbers, truth values, dates or timestamps",
        "nach {column} vom Typ {item} lassen sich Menschen nicht unter anderen verbergen; nennen "
        "Sie Spalten mit Text, Zahlen, Wahrheitswerten, Daten oder Zeitpunkten",
    ),
    "consent subjects": (
        "{column} of type {item} names no subjects of consent; name a column of text or whole numbers",
        "{column} vom Typ {item} nennt keine Betroffenen, die zustimmen; nennen Sie eine Spalte mit "
        "Text oder ganzen Zahlen",
    ),
    "no consent table": (
        "an offer asks for consent, and there is no consent table; publish the data with 'consent'",
        "ein Angebot verlangt Zustimmung, und es gibt keine Tabelle der Zustimmungen; "
        "veröffentlichen Sie die Daten mit 'consent'",
    ),
    "consent table": (
        "the consent table has no column {column}; it needs {columns}",
        "die Tabelle der Zustimmungen hat keine Spalte {column}; sie braucht {columns}",
    ),
    "nothing released": (
        "no offer releases any column; permit at least one",
        "kein Angebot gibt eine Spalte frei; erlauben Sie mindestens eine",
    ),
    "grown": (
        "{dataset} was published without the columns {columns}; agreements about it would show "
        "them: publish the file under an 'id' of its own",
        "{dataset} wurde ohne die Spalten {columns} veröffentlicht; Vereinbarungen darüber würden "
        "sie zeigen: veröffentlichen Sie die Datei unter einer eigenen 'id'",
    ),
    "other target": (
        "offer {offer} is for {target}, not for {dataset}; leave target out",
        "das Angebot {offer} gilt für {target}, nicht für {dataset}; lassen Sie target weg",
    ),
    "no offer": (
        "no offer; say under which terms the data may be used",
        "kein Angebot; sagen Sie, unter welchen Bedingungen die Daten genutzt werden dürfen",
    ),
    "offer twice": (
        "two offers have the id {offer} or the same terms; keep one",
        "zwei Angebote haben die id {offer} oder dieselben Bedingungen; behalten Sie eines",
    ),
}
