"""Why a document is not read as a policy, or a template not filled in: in English, and in German."""

from __future__ import annotations

UNREAD: dict[str, tuple[str, str]] = {
    # --- files
    "file": ("cannot read {file}: {why}", "{file} lässt sich nicht lesen: {why}"),
    "file large": (
        "{file} has {size} bytes; a policy has at most {most}",
        "{file} hat {size} Bytes; Regeln haben höchstens {most}",
    ),
    "file deep": (
        "{file} nests deeper than any policy; flatten it",
        "{file} ist tiefer verschachtelt als irgendwelche Regeln; machen Sie es flacher",
    ),
    "file json": (
        "{file} is not a JSON policy: {why}",
        "{file} enthält keine Regeln in JSON: {why}",
    ),
    "file object": (
        "{file} holds no JSON object; write one policy, like `hansa policy new` makes",
        "{file} enthält kein JSON-Objekt; schreiben Sie Regeln, wie `hansa policy new` sie macht",
    ),
    "file agreement": (
        "{file} holds an agreement; publish an offer",
        "{file} enthält eine Vereinbarung; bieten Sie ein Angebot an",
    ),
    # --- documents
    "turtle": (
        "policy is not Turtle that we can read: {why}",
        "die Regeln sind kein lesbares Turtle: {why}",
    ),
    "utf8": (
        "policy is not UTF-8 text",
        "die Regeln sind kein Text in UTF-8",
    ),
    "json": ("policy is not JSON: {why}", "die Regeln sind kein JSON: {why}"),
    "json deep": (
        "policy nests its JSON too deeply",
        "das JSON der Regeln ist zu tief verschachtelt",
    ),
    "json values": (
        "policy nests its JSON deeper than {deepest} or has more than {most} values",
        "das JSON der Regeln ist tiefer als {deepest} verschachtelt oder hat mehr als {most} Werte",
    ),
    "bytes": (
        "policy document has {size} bytes; at most {most} are read",
        "das Dokument der Regeln hat {size} Bytes; höchstens {most} werden gelesen",
    ),
    "statements": (
        "policy document has more than {most} statements; split it",
        "das Dokument der Regeln hat mehr als {most} Aussagen; teilen Sie es auf",
    ),
    "long term": (
        "{text}… has {size} characters with its prefix; at most {most} are read",
        "{text}… hat mit Präfix {size} Zeichen; höchstens {most} werden gelesen",
    ),
    "list circle": (
        "{place}: a list comes back to itself; end it with rdf:nil",
        "{place}: eine Liste kehrt zu sich zurück; beenden Sie sie mit rdf:nil",
    ),
    "no policy": (
        "document holds no policy; write one with a permission, prohibition or obligation",
        "das Dokument enthält keine Regeln; schreiben Sie eine Erlaubnis, ein Verbot oder eine Pflicht",
    ),
    "many policies": (
        "document holds {count} policies; at most {most} are read",
        "das Dokument enthält {count} Regelwerke; höchstens {most} werden gelesen",
    ),
    "policy twice": (
        "document holds policy {name} twice; give each an id of its own",
        "das Dokument enthält {name} zweimal; geben Sie jedem eine eigene Kennung",
    ),
    "several policies": (
        "document holds several policies, {existing}; write one policy a file",
        "das Dokument enthält mehrere Regelwerke, {existing}; schreiben Sie eines je Datei",
    ),
    "no rules": (
        "{place} has no rule; write a permission, prohibition or obligation",
        "{place} hat keine Regel; schreiben Sie eine Erlaubnis, ein Verbot oder eine Pflicht",
    ),
    # --- constraints
    "constraints": (
        "policy has more than {most} rules and constraints; split it",
        "es sind mehr als {most} Regeln und Bedingungen; teilen Sie sie auf",
    ),
    "constraints deep": (
        "policy nests its constraints deeper than {deepest} levels; flatten them",
        "die Bedingungen sind tiefer als {deepest} Ebenen verschachtelt; machen Sie sie flacher",
    ),
    "deep": (
        "{place}: nested deeper than {deepest} levels; flatten it",
        "{place}: tiefer als {deepest} Ebenen verschachtelt; machen Sie es flacher",
    ),
    "holds itself": (
        "{place}: {node} holds itself; write each constraint and duty once",
        "{place}: {node} enthält sich selbst; schreiben Sie jede Bedingung und Pflicht einmal",
    ),
    "several values": (
        "{place}: {count} values of {name}; write one",
        "{place}: {count} Werte von {name}; schreiben Sie einen",
    ),
    "not evaluated": (
        "cannot evaluate {text} in {place}; known there: {names}",
        "{text} in {place} kann nicht ausgewertet werden; dort bekannt: {names}",
    ),
    "not described": (
        "{place}: {node} is not described here; write leftOperand, operator, rightOperand",
        "{place}: {node} wird hier nicht beschrieben; schreiben Sie leftOperand, operator, rightOperand",
    ),
    "two forms": (
        "{place}: {said} beside another form in one constraint; nest them instead",
        "{place}: {said} neben einer anderen Form in einer Bedingung; verschachteln Sie sie",
    ),
    "empty form": (
        "{place}: an empty {form}; write at least one constraint in it",
        "{place}: {form} ist leer; schreiben Sie mindestens eine Bedingung hinein",
    ),
    "missing side": (
        "{place}: no {missing}; write leftOperand, operator and rightOperand",
        "{place}: {missing} fehlt; schreiben Sie leftOperand, operator und rightOperand",
    ),
    "no right side": (
        "{place}: no rightOperand; write what {operand} is compared with",
        "{place}: rightOperand fehlt; schreiben Sie, womit {operand} verglichen wird",
    ),
    # --- inheritance
    "circle": (
        "policies inherit in a circle: {circle}; cut one inheritFrom",
        "die Regeln erben im Kreis: {circle}; entfernen Sie ein inheritFrom",
    ),
    "parent": (
        "policy {name} inherits from {parent}, which is not here; put it into the same document",
        "{name} erbt von {parent}, das hier fehlt; schreiben Sie es in dasselbe Dokument",
    ),
    "ancestors": (
        "policy {name} has more than {most} ancestors; merge some",
        "{name} hat mehr als {most} Vorfahren; fassen Sie einige zusammen",
    ),
    "inherited rules": (
        "policy inherits more than {most} rules; split it",
        "es werden mehr als {most} Regeln geerbt; teilen Sie sie auf",
    ),
    "nothing inherited": (
        "policy {name} has no rule, and inherits none; write one",
        "{name} hat keine Regel und erbt keine; schreiben Sie eine",
    ),
    "no action": (
        "rule {rule} or a duty in it has no action; write one",
        "die Regel {rule} oder eine Pflicht in ihr hat keine Handlung; schreiben Sie eine",
    ),
    # --- templates
    "template": (
        "no template is called {name}; there are: {names}",
        "keine Vorlage heißt {name}; es gibt: {names}",
    ),
    "template parameter": (
        "template {name} has no parameter {parameter}; it takes: {known}",
        "Vorlage {name} hat keine Angabe {parameter}; sie nimmt: {known}",
    ),
    "template together": (
        "template {name} needs parameter {missing} beside {given}; give all or none",
        "Vorlage {name} braucht die Angabe {missing} neben {given}; nennen Sie alle oder keine",
    ),
    "pair": (
        "{option} {pair} is not name=value",
        "{option} {pair} ist nicht von der Form Name=Wert",
    ),
}
