"""What a trainer is told: frozen dataclasses whose fields have a type, bounds, a default and a line of doc."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import types
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

from ..envs.errors import BadArgument
from ..policies.registry import hint

C = TypeVar("C")
SUFFIXES = (".yaml", ".yml", ".json")
"""How the name of a file of settings ends."""
BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


class Setting(NamedTuple):
    """A field of a trainer's config."""

    name: str
    type: str
    """As people write it, with its bounds."""
    default: Any
    doc: str


def described(config_class: type[Any]) -> list[Setting]:
    """The fields of a config."""
    return [
        Setting(each.name, shown(each.type), default(each.field), doc(each.type))
        for each in fields(config_class).values()
    ]


class Field(NamedTuple):
    """A field of a dataclass, with its type resolved."""

    name: str
    type: Any
    field: dataclasses.Field[Any]


def fields(config_class: type[Any]) -> dict[str, Field]:
    """The fields of a config by their names."""
    hints = get_type_hints(config_class, include_extras=True)
    return {each.name: Field(each.name, hints[each.name], each) for each in dataclasses.fields(config_class)}


def default(field: dataclasses.Field[Any]) -> Any:
    """What a field is where nothing is given."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def bare(kind: Any) -> Any:
    """A type without what is said of it."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def doc(kind: Any) -> str:
    """What is said of a type: the description in its `Meta`."""
    found = [each.description for each in getattr(kind, "__metadata__", ()) if isinstance(each, msgspec.Meta)]
    return next((text for text in found if text), "")


def shown(kind: Any) -> str:
    """A type as people write it: `int >= 1`, `'cosine' | 'linear'`."""
    if get_origin(kind) is Annotated:
        metas = [each for each in kind.__metadata__ if isinstance(each, msgspec.Meta)]
        bounds = [
            f"{sign} {limit}"
            for meta in metas
            for name, sign in BOUNDS.items()
            if (limit := getattr(meta, name)) is not None
        ]
        return " ".join([shown(bare(kind)), ", ".join(bounds)]).strip()
    if get_origin(kind) is Literal:
        return " | ".join(map(repr, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return " | ".join(map(shown, get_args(kind)))
    if get_origin(kind) is not None and get_args(kind):
        inner = ", ".join("..." if each is ... else shown(each) for each in get_args(kind))
        return f"{get_origin(kind).__name__}[{inner}]"
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))


def build(config_class: type[C], given: Mapping[str, Any], what: str = "") -> C:
    """The config that a mapping gives; whatever does not fit raises `BadArgument`. `what` names who is configured."""
    known, about = fields(config_class), what or config_class.__name__
    for name in given:
        if name not in known:
            raise BadArgument(f"{name}={given[name]!r} is no setting of {about}{hint(str(name), known)}")
    return config_class(**{name: _converted(known[name], value, about) for name, value in given.items()})


def _converted(field: Field, value: Any, about: str) -> Any:
    """A value as the type that its field has."""
    plain = (
        os.fspath(value) if isinstance(value, os.PathLike) else value.item() if isinstance(value, np.generic) else value
    )
    try:
        found = msgspec.convert(plain, field.type)
    except msgspec.ValidationError as error:
        raise _wrong(field, value, about, str(error)) from None
    if isinstance(found, float) and not math.isfinite(found):
        raise _wrong(field, value, about, "Expected a finite number")
    return found


def _wrong(field: Field, value: Any, about: str, why: str) -> BadArgument:
    is_literal = get_origin(bare(field.type)) is Literal
    reason = f"choose one of {', '.join(map(repr, get_args(bare(field.type))))}" if is_literal else why.replace("`", "")
    said = f" It is: {doc(field.type)}" if doc(field.type) else ""
    return BadArgument(f"{field.name}={value!r} does not suit {about}: {reason}; give {shown(field.type)}.{said}")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings that a file holds, YAML or JSON by the end of its name."""
    file = Path(path)
    if file.suffix not in SUFFIXES:
        raise BadArgument(f"{file} is no file of settings by its name: it ends in none of {', '.join(SUFFIXES)}.")
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadArgument(f"There is no file {file}: name one that holds the settings.") from None
    except UnicodeDecodeError as error:
        raise BadArgument(f"{file} is no text in UTF-8: {error}") from None
    found = _json(text, file) if file.suffix == ".json" else _yaml(text, file)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadArgument(f"{file} holds {found!r:.60}: write names and values, such as `steps: 100`.")
    return found


def _json(text: str, file: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise BadArgument(f"{file} gives {twice!r} twice: leave one out.")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise BadArgument(f"{file}, line {error.lineno}, is no JSON: {error.msg}.") from None


def _yaml(text: str, file: Path) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise BadArgument(
            f"{file} is YAML, which needs the package yaml: pip install pyyaml, or write the settings as JSON."
        ) from None

    class Loader(yaml.SafeLoader):
        """Plain data; a name stands once, and 1e-4 is a number, as it is everywhere else."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            met = set()
            for key, _ in node.value:
                if key.value in met:
                    raise BadArgument(
                        f"{file}, line {key.start_mark.line + 1}, gives {key.value!r} twice: leave one out."
                    )
                met.add(key.value)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9.]*[eE][-+]?[0-9]+$"), [*"-+0123456789"]
    )
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}," if mark else ""
        raise BadArgument(f"{file}{line} is no YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise BadArgument(f"{file} is no YAML: {error}") from None
