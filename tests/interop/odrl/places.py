"""A pinned extract of GeoNames, as a hierarchy: continents, countries of each, regions and a town of some.

Cities beyond these are left out on purpose: of a place that no table holds, nothing is known. Countries and
continents that lie apart are known to be so; countries on two continents are left out.

Source: GeoNames, the identifiers of its features; the facts are public.
"""

from __future__ import annotations

from itertools import combinations

from policies.hierarchy import Poset

SPACE = "https://sws.geonames.org/"
AFRICA, ASIA, EUROPE = "6255146", "6255147", "6255148"
NORTH_AMERICA, OCEANIA, SOUTH_AMERICA = "6255149", "6255151", "6255150"
AUSTRIA, FRANCE, GERMANY, ITALY, SPAIN = "2782113", "3017382", "2921044", "3175395", "2510769"

COUNTRIES: dict[str, tuple[str, ...]] = {
    EUROPE: (
        AUSTRIA,
        FRANCE,
        GERMANY,
        ITALY,
        SPAIN,
        "2802361",  # Belgium
        "732800",  # Bulgaria
        "3202326",  # Croatia
        "3077311",  # Czechia
        "2623032",  # Denmark
        "453733",  # Estonia
        "660013",  # Finland
        "390903",  # Greece
        "719819",  # Hungary
        "2963597",  # Ireland
        "458258",  # Latvia
        "597427",  # Lithuania
        "2960313",  # Luxembourg
        "2562770",  # Malta
        "2750405",  # the Netherlands
        "798544",  # Poland
        "2264397",  # Portugal
        "798549",  # Romania
        "3057568",  # Slovakia
        "3190538",  # Slovenia
        "2661886",  # Sweden
        "2629691",  # Iceland
        "3042058",  # Liechtenstein
        "3144096",  # Norway
        "2658434",  # Switzerland
        "2635167",  # the United Kingdom
    ),
    NORTH_AMERICA: ("6252001", "6251999", "3996063"),  # the United States, Canada, Mexico
    SOUTH_AMERICA: ("3469034", "3865483", "3895114"),  # Brazil, Argentina, Chile
    ASIA: ("1814991", "1861060", "1269750", "1835841"),  # China, Japan, India, South Korea
    AFRICA: ("953987", "192950", "2328926"),  # South Africa, Kenya, Nigeria
    OCEANIA: ("2077456", "2186224"),  # Australia, New Zealand
}
BAVARIA = "2951839"
REGIONS: dict[str, tuple[str, ...]] = {
    GERMANY: (BAVARIA, "2950157", "2953481"),  # and Berlin, Baden-Württemberg
    BAVARIA: ("2867714",),  # Munich
    FRANCE: ("3012874",),  # Île-de-France
}


def _named(place: str) -> str:
    return f"{SPACE}{place}/"


PLACES = Poset(
    {_named(wide): tuple(map(_named, under)) for wide, under in (COUNTRIES | REGIONS).items()},
    apart=tuple(
        (_named(one), _named(other))
        for places in (tuple(COUNTRIES), *COUNTRIES.values())
        for one, other in combinations(places, 2)
    ),
)
"""Whatever is not in it may be anywhere."""
