"""What is wrong with a rule: terms that do not stand there, or not together."""

from __future__ import annotations

RULES: dict[str, tuple[str, str]] = {
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
        "{place} zählt nach {item}, was eine Maske leert; nehmen Sie es aus den Quasi-Identifikatoren heraus",
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
        "{place} ist einmal fällig nach {place2}, oder immer wieder nach {place3}; schreiben Sie eines davon",
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
}
