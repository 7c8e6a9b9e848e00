"""`python -m catalog` is `hansa catalog`."""

from catalog.cli import app

app(prog_name="hansa catalog")
