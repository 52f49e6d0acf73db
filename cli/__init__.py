"""The command line, a module for each group of commands."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Structured-action conversations as Gymnasium environments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
"""What the modules beside this add their commands to."""
