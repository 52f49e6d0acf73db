"""What commands are given, and how they answer programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer


def ids() -> list[str]:
    """The ids of this package's environments."""
    import gymnasium

    return sorted(name for name in gymnasium.registry if name.startswith("StateSet/"))


LISTS = ("kinds",)
"""Settings that are lists, even of one."""


def env_id(name: str) -> str:
    """The id of an environment that may be given without its namespace."""
    return name if "/" in name else f"StateSet/{name}"


def settings(pairs: list[str] | None, option: str) -> dict[str, Any]:
    """`name=value` pairs; a value is JSON, or a list of words parted by commas, or a word."""
    found: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"{option} {pair!r}: write name=value.")
        found[name] = [_value(value)] if name in LISTS and "," not in value and "[" not in value else _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [_value(part) for part in text.split(",")] if "," in text else text


def scenes(text: str) -> int | list[Any]:
    """How many scenes, or which: numbers or names parted by commas, or a JSON file of scenes of one's own."""
    if text.isdecimal():
        return int(text)
    if text.endswith(".json"):
        try:
            own = json.loads(Path(text).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(f"There is no file {text}: name one that holds scenes of your own.") from None
        except ValueError as error:
            raise ValueError(f"{text} is no JSON in UTF-8: {error}") from None
        return own if isinstance(own, list) else [own]
    return [int(part) if part.isdecimal() else part for part in text.split(",")]


def print_json(value: Any) -> None:
    """JSON, for programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
