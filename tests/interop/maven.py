"""The jars that outside judges are made of: fetched once by `mvn`, pinned, and kept outside the tree."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
FETCH_SECONDS = 900
PACKAGES = {"java": "default-jdk-headless", "javac": "default-jdk-headless", "mvn": "maven"}
SAID_AT_MOST = 3000
ALONE = "@jar"


class JarsMissing(RuntimeError):
    """The class path cannot be had; the message says what is missing and what to do."""


def tool(name: str) -> str:
    """Find a command of the Java world; the error says which Debian package brings it."""
    found = shutil.which(name)
    if found is None:
        raise JarsMissing(
            f"the command {name!r} was not found; the Debian package {PACKAGES[name]} brings it: "
            f"sudo apt-get install {PACKAGES[name]}"
        )
    return found


def cache_folder(*parts: str) -> Path:
    """Where what is fetched or built for these tests stays between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).joinpath("hansa", *parts)


def jars(name: str, coordinates: Sequence[str], exclusions: Sequence[str] = ()) -> Path:
    """Return a folder with the named artefacts and what they need at run time: `folder/*` is a class path.

    Args:
        name: What the jars are for; part of the folder's name.
        coordinates: `group:artifact:version`; with `@jar` at the end, that jar without its dependencies.
        exclusions: `group:artifact` that nothing may bring along (a `*` for either part means all).

    Returns:
        A folder that is whole: it is made beside its place and moved there when complete, so a second run (or
        another process) finds it and asks no registry.

    Raises:
        JarsMissing: A command is missing, or the registry does not serve an artefact.
    """
    asked = "\n".join([PLUGIN, *coordinates, "without", *exclusions])
    place = cache_folder("jars", f"{name}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}")
    if place.is_dir():
        return place
    maven = tool("mvn")
    tool("java")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{name}-") as made:
        work = Path(made)
        (work / "pom.xml").write_text(_project(coordinates, exclusions), encoding="utf-8")
        _run(
            [
                maven,
                # -U: what the registry lacked yesterday is asked for again.
                *(
                    "-B",
                    "-ntp",
                    "-q",
                    "-U",
                    "-Dstyle.color=never",
                    "--strict-checksums",
                    "-f",
                    str(work / "pom.xml"),
                ),
                *(
                    f"{PLUGIN}:copy-dependencies",
                    "-DincludeScope=runtime",
                    f"-DoutputDirectory={work / 'lib'}",
                ),
            ],
            coordinates,
        )
        try:
            (work / "lib").rename(place)
        except OSError:
            if not place.is_dir():  # another process was quicker: its folder is as whole as ours
                raise
    return place


def _run(command: list[str], coordinates: Sequence[str]) -> None:
    """Run Maven; its complaint becomes ours, with the artefacts it names."""
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise JarsMissing(
            f"mvn did not fetch {len(coordinates)} artefacts within {FETCH_SECONDS} s; try again"
        ) from None
    if ran.returncode == 0:
        return
    lines = (ran.stdout + ran.stderr).splitlines()
    said = "\n".join(line for line in lines if "ERROR" in line and "[ERROR] For" not in line)[:SAID_AT_MOST]
    artefact = r"([\w.-]+(?::[\w.-]+){3,})"
    missing = set(re.findall(rf"(?:Could not (?:find|transfer) artifact|Missing:) {artefact}", said))
    missing |= set(re.findall(rf"{artefact} was not found", said))
    for several in re.findall(r"could not be resolved: (.+?): Could", said):
        missing |= set(several.split(", "))
    what = f"the registry does not serve {', '.join(sorted(missing))}" if missing else "mvn failed"
    raise JarsMissing(f"{what}; where mvn asks is set in ~/.m2/settings.xml. It said:\n{said}")


def _project(coordinates: Sequence[str], exclusions: Sequence[str]) -> str:
    """Write the project file that asks for the artefacts."""
    dependencies = []
    for coordinate in coordinates:
        alone = coordinate.endswith(ALONE)
        group, artifact, version = coordinate.removesuffix(ALONE).split(":")
        without = ["*:*"] if alone else exclusions
        dependencies.append(
            _element(
                "dependency",
                _named(group, artifact)
                + _element("version", escape(version))
                + _element(
                    "exclusions", "".join(_element("exclusion", _named(*each.split(":"))) for each in without)
                ),
            )
        )
    return _element(
        'project xmlns="http://maven.apache.org/POM/4.0.0"',
        _element("modelVersion", "4.0.0")
        + _named("hansa.tests", "judge")
        + _element("version", "1")
        + _element("packaging", "pom")
        + _element("dependencies", "\n".join(dependencies)),
    )


def _named(group: str, artifact: str) -> str:
    return _element("groupId", escape(group)) + _element("artifactId", escape(artifact))


def _element(tag: str, content: str) -> str:
    return f"<{tag}>{content}</{tag.split()[0]}>"
