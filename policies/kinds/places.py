"""Places and what they are part of: ISO 3166-1 countries, and the unions of them that policies name.

The table is pinned: a policy means tomorrow what it meant when it was agreed. A subdivision (ISO 3166-2, such
as `DE-BY`) is part of its country, though not listed here.

Source: ISO 3166-1 alpha-2 codes; membership of EU, EEA, EFTA and the Council of Europe, and the United
Nations' geoscheme for continents, as of 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType

from policies.refusals.refusal import refusal
from schemas.errors import UnknownTerm

REGIONS_VERSION = "2026-11"


def _codes(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_EU = _codes("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK")
_EFTA = _codes("CH IS LI NO")
_EUROPE = _EU | _EFTA | _codes("AD AL AX BA BY FO GB GG GI IM JE MC MD ME MK RS RU SJ SM UA VA XK")
_AFRICA = _codes(
    "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR "
    "MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TF TG TN TZ UG YT ZA ZM ZW IO"
)
_AMERICAS = _codes(
    "AG AI AR AW BB BL BM BO BQ BR BS BV BZ CA CL CO CR CU CW DM DO EC FK GD GF GL GP GS GT GY HN HT "
    "JM KN KY LC MF MQ MS MX NI PA PE PM PR PY SR SV SX TC TT US UY VC VE VG VI"
)
_ASIA = _codes(
    "AE AF AM AZ BD BH BN BT CN GE HK ID IL IN IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY "
    "NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE CY"
)
_OCEANIA = _codes("AS AU CC CK CX FJ FM GU HM KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS")

UNIONS = MappingProxyType(
    {
        "EU": _EU,
        "EFTA": _EFTA,
        "EEA": _EU | {"IS", "LI", "NO"},
        "EUROPE": _EUROPE,
        "AFRICA": _AFRICA,
        "AMERICAS": _AMERICAS,
        "ASIA": _ASIA,
        "OCEANIA": _OCEANIA,
    }
)
"""What the names that are no countries stand for."""

COUNTRIES = frozenset().union(*UNIONS.values()) | {"AQ"}
"""Every ISO 3166-1 alpha-2 code, and XK for Kosovo."""

# What people write for the same place: Greece and the United Kingdom have codes of their own in the EU.
_ALIASES = MappingProxyType({"EL": "GR", "UK": "GB"})
_SUBDIVISION = re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}", re.ASCII)


def region_code(name: str, place: str) -> str:
    """Return the code of a region: a country, a subdivision of one, or a union of countries.

    Raises:
        UnknownTerm: if the pinned table has no such region.
    """
    code = _ALIASES.get(name, name)
    found = _SUBDIVISION.fullmatch(code)
    if code in COUNTRIES or code in UNIONS or (found and found[1] in COUNTRIES):
        return code
    raise UnknownTerm(refusal("region", place=place, item=repr(name[:80]), unions=", ".join(UNIONS)))


def is_region(code: str) -> bool:
    """Say whether the pinned table has a region of this code."""
    found = _SUBDIVISION.fullmatch(code)
    return code in COUNTRIES or code in UNIONS or bool(found and found[1] in COUNTRIES)


def is_part_of(part: str, whole: str) -> bool:
    """Say whether one region is another, or wholly lies in it; an unknown one lies in nothing else."""
    if part == whole:
        return True
    if part in UNIONS:
        return whole in UNIONS and UNIONS[part] <= UNIONS[whole]
    country = part.partition("-")[0]
    return country == whole or country in UNIONS.get(whole, frozenset())


def do_regions_overlap(one: str, other: str) -> bool:
    """Say whether some place lies in both."""
    if is_part_of(one, other) or is_part_of(other, one):
        return True
    return not UNIONS.get(one, frozenset()).isdisjoint(UNIONS.get(other, frozenset()))


def countries_in(regions: Iterable[str]) -> tuple[str, ...]:
    """Return every code that lies in one of the regions, in alphabetical order: what a cell may hold."""
    found: set[str] = set()
    for region in regions:
        found |= UNIONS.get(region, frozenset({region}))
    return tuple(sorted(found))


def countries_outside(regions: Iterable[str]) -> tuple[str, ...]:
    """Return every country that surely has no part in any of the regions, in alphabetical order."""
    whole = set(regions)
    touched = set(countries_in(whole)) | {region.partition("-")[0] for region in whole}
    return tuple(sorted(COUNTRIES - touched))
