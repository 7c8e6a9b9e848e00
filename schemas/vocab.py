"""The IRIs and prefixes that we say aloud."""

from __future__ import annotations

ODRL = "http://www.w3.org/ns/odrl/2/"
DCAT = "http://www.w3.org/ns/dcat#"
DCT = "http://purl.org/dc/terms/"
DSPACE = "https://w3id.org/dspace/2025/1/"
XSD = "http://www.w3.org/2001/XMLSchema#"
FOAF = "http://xmlns.com/foaf/0.1/"
CSVW = "http://www.w3.org/ns/csvw#"
CC = "http://creativecommons.org/ns#"
DPV = "https://w3id.org/dpv#"
EDC = "https://w3id.org/edc/v0.0.1/ns/"
HANSA = "https://w3id.org/hansa/policy/1#"
"""Our ODRL profile: operands and actions that the core vocabulary lacks."""

PREFIXES: dict[str, str] = {
    "odrl": ODRL,
    "dcat": DCAT,
    "dct": DCT,
    "dspace": DSPACE,
    "xsd": XSD,
    "foaf": FOAF,
    "csvw": CSVW,
    "dpv": DPV,
    "cc": CC,
    "hansa": HANSA,
}

DSP_CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
DSP_ODRL_CONTEXT = "https://w3id.org/dspace/2025/1/odrl-profile.jsonld"
DSP_VERSION = "2025-1"
HANSA_PROFILE = HANSA.rstrip("#")

MEDIA_PARQUET = "application/vnd.apache.parquet"
MEDIA_ARROW_STREAM = "application/vnd.apache.arrow.stream"

FORMAT_ARROW_HTTP = "ArrowStream-PULL"
"""Transfer format: an Arrow IPC stream over HTTP, pulled by the consumer."""
FORMAT_HTTP_PUSH = "HttpData-PUSH"
"""The same stream, sent to where the consumer takes it. EDC knows this name."""
FORMAT_ARROW_FLIGHT = "ArrowFlight-PULL"
"""Transfer format: Arrow Flight DoGet, pulled by the consumer."""

ENDPOINT_HTTP = "https://w3id.org/idsa/v4.1/HTTP"
ENDPOINT_FLIGHT = "https://w3id.org/hansa/endpoint/arrow-flight"

# DCAT-AP access rights (EU authority table, codes that we use).
ACCESS_RIGHT = "http://publications.europa.eu/resource/authority/access-right/"
DATA_THEME = "http://publications.europa.eu/resource/authority/data-theme/"

DATA_THEMES: dict[str, str] = {
    "AGRI": "Agriculture, fisheries, forestry and food",
    "ECON": "Economy and finance",
    "EDUC": "Education, culture and sport",
    "ENER": "Energy",
    "ENVI": "Environment",
    "GOVE": "Government and public sector",
    "HEAL": "Health",
    "INTR": "International issues",
    "JUST": "Justice, legal system and public safety",
    "REGI": "Regions and cities",
    "SOCI": "Population and society",
    "TECH": "Science and technology",
    "TRAN": "Transport",
}
"""Codes of the EU data-theme table with English labels."""

ACCESS_RIGHTS: dict[str, str] = {
    "PUBLIC": "public",
    "RESTRICTED": "restricted",
    "NON_PUBLIC": "non-public",
}


def compact_iri(iri: str) -> str:
    """Shorten an IRI to `prefix:name` where a prefix is known, else return it as it is."""
    for prefix, base in PREFIXES.items():
        if iri.startswith(base):
            return f"{prefix}:{iri[len(base) :]}"
    return iri


def expand_iri(name: str, default: str | None = None) -> str:
    """Expand `prefix:name`, or a bare term against `default`; an absolute IRI stays as it is."""
    prefix, colon, rest = name.partition(":")
    if colon and prefix in PREFIXES and not rest.startswith("//"):
        return PREFIXES[prefix] + rest
    if not colon and default is not None:
        return default + name
    return name
