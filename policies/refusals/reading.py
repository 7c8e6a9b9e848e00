"""What is wrong with what a reader asks under an agreement."""

from __future__ import annotations

READING: dict[str, tuple[str, str]] = {
    "rows asked": (
        "the agreement releases statistics over groups, and no rows; "
        'ask with aggregate={{"group": […], "measures": […]}}, in a shell with --group and --measure',
        "die Vereinbarung gibt Kennzahlen über Gruppen frei, und keine Zeilen; "
        'fragen Sie mit aggregate={{"group": […], "measures": […]}}, in der Shell mit --group und --measure',
    ),
    "groups asked": (
        "the agreement releases rows; read them, and leave aggregate out",
        "die Vereinbarung gibt Zeilen frei; lesen Sie sie, und lassen Sie aggregate weg",
    ),
    "not yours": (
        "column {column} is not among those that you may read: {columns}",
        "die Spalte {column} gehört nicht zu denen, die Sie lesen dürfen: {columns}",
    ),
    "no column left": (
        "no column is left to read; ask for at least one",
        "keine Spalte bleibt zu lesen; bitten Sie um mindestens eine",
    ),
    "read apart": (
        "columns {columns} must not be read together, nor one after the other: {before} was read under "
        "this agreement; ask for other columns",
        "die Spalten {columns} dürfen nicht zusammen gelesen werden, auch nicht nacheinander: {before} wurde "
        "unter dieser Vereinbarung gelesen; bitten Sie um andere Spalten",
    ),
    "no subjects": (
        "the agreement names no column of subjects; ask for 'count' instead",
        "die Vereinbarung nennt keine Spalte der Betroffenen; bitten Sie stattdessen um 'count'",
    ),
    "no numbers": (
        "{measure} asks for numbers, and the column is of type {item}; ask for 'count'",
        "{measure} braucht Zahlen, und die Spalte ist vom Typ {item}; bitten Sie um 'count'",
    ),
}
