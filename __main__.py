"""The command line: `python -m stateset_gym` or `stateset-gym`."""

from __future__ import annotations

import typer

from .cli import app, comparing, environments, playing, training  # noqa: F401


def main() -> None:
    """Run the command line; what is wrong with what was given is told in a line, not in a traceback."""
    import gymnasium

    from .rewards.errors import InfrastructureError

    try:
        app()
    except (gymnasium.error.Error, InfrastructureError, ValueError, OSError) as error:
        if getattr(error, "__notes__", None):
            raise  # it comes from within a conversation: whoever wrote the agent wants to see where
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
