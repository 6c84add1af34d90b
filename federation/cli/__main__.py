"""`python -m federation.cli` is `credfed`."""

from federation.cli.main import app

app(prog_name="credfed")
