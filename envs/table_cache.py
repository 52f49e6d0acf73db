"""Tables on disk: read again only where everything that decides them is as it was, and written whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import os
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from .. import __version__
from .conversation import ConversationEnv
from .errors import BadArgument
from .scenes import SceneName
from .table import ARRAYS, Table

ENGINE = tuple(Path(__file__).parents[1] / folder for folder in ("envs", "rewards"))
"""What of this package has a say in a table: rules, customers, catalogues, and the faults that are paid for."""
TOGETHER = 250
"""How many scenes a file has room for."""
COLUMNS = ("name", "kind", "par", "limit", "found", "expanded")
"""What is a scene's own, beside the table that it may share."""
BY_STATE = tuple(name for name in ARRAYS if name not in ("outcomes", "rows"))
SPOILT = (OSError, EOFError, ValueError, LookupError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file comes to."""


def user_folder() -> Path:
    """Where tables are kept unless a folder is named."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "stateset-gym" / "tables"


class TableCache:
    """The tables of an environment, for a cap and its class's arguments."""

    def __init__(
        self, kind: type[ConversationEnv], cap: int, arguments: Mapping[str, Any], folder: str | Path | None
    ) -> None:
        self.folder = Path(folder or user_folder()) / f"{kind.parts.name}-{fingerprint(kind, arguments)}" / f"cap-{cap}"

    def read(self, names: Iterable[str]) -> dict[str, Table]:
        """The tables that are kept of these scenes."""
        wanted = set(names)
        files = dict.fromkeys(self._file(name) for name in wanted)
        return {table.name: table for file in sorted(files) for table in self._kept(file) if table.name in wanted}

    def add(self, tables: Iterable[Table]) -> None:
        """Keep tables beside those that are kept."""
        files: dict[Path, list[Table]] = {}
        for table in tables:
            files.setdefault(self._file(table.name), []).append(table)
        for file, fresh in files.items():
            kept = {table.name: table for table in (*self._kept(file), *fresh)}
            self._write(file, list(shared(kept[name] for name in sorted(kept))))

    def _file(self, name: str) -> Path:
        scene = SceneName.parse(name)
        block = scene.number // TOGETHER * TOGETHER
        return self.folder / f"{scene.split}-{scene.difficulty}{scene.store}-{block:06d}.npz"

    def _kept(self, file: Path) -> list[Table]:
        """The tables in a file; one that is damaged is told of, and its scenes made anew."""
        if not file.exists():
            return []
        try:
            with file.open("rb") as stream, np.load(stream) as arrays:
                return _unpacked({name: arrays[name] for name in arrays.files})
        except SPOILT as error:
            gymnasium.logger.warn(f"{file} cannot be read ({error!r}): its scenes are explored anew.")
            return []

    def _write(self, file: Path, tables: Sequence[Table]) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with _whole(file) as part:
                np.savez_compressed(part, **_packed(tables))
        except OSError as error:
            raise BadArgument(
                f"Tables cannot be kept in {file.parent} ({error}): give cache=FOLDER that can be written, or "
                "cache=False."
            ) from error


def fingerprint(kind: type[ConversationEnv], arguments: Mapping[str, Any]) -> str:
    """What decides a scene's table beside its name: the version, the sources of the engine and of the environment."""
    digest = hashlib.blake2b(_engine(), digest_size=8)
    digest.update(repr((__version__, sorted(arguments.items()))).encode())
    made: list[Any] = [each for each in kind.__mro__ if issubclass(each, ConversationEnv)]
    made += _code_in(kind.parts)
    if kind.parts.catalogue is not None:
        made += [type(kind.parts.catalogue), *_code_in(kind.parts.catalogue)]
    files = {file for each in made for file in _sources(each)}
    for file in sorted(file for file in files if not any(map(file.is_relative_to, ENGINE))):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


@functools.cache
def _engine() -> bytes:
    """The sources of the engine and of this package's environments; read once, since what runs is what was there."""
    digest = hashlib.blake2b()
    for folder in ENGINE:
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder.parent).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.digest()


def _code_in(holder: object) -> list[Any]:
    """The functions and the classes that an object holds, what they wrap included; Python's own are no source."""
    held = (inspect.unwrap(getattr(each, "__func__", getattr(each, "func", each))) for each in vars(holder).values())
    return [each for each in held if (inspect.isfunction(each) or inspect.isclass(each)) and not _is_pythons(each)]


def _is_pythons(each: Any) -> bool:
    module: str = each.__module__
    return module == "builtins"


def _sources(kind: type[ConversationEnv] | Callable[..., Any]) -> Iterable[Path]:
    """The files that a class or a function is made of: those of its folder where that is a package, else its own."""
    try:
        file = Path(inspect.getfile(kind))
    except (TypeError, OSError):
        raise BadArgument(
            f"{kind.__name__} has no source file, so that nobody could tell whether a kept table is still right: "
            "define it in a file, or give cache=False."
        ) from None
    is_packaged = bool(getattr(sys.modules[kind.__module__], "__package__", ""))
    return file.parent.glob("*.py") if is_packaged else [file]


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[Any]:
    """A file to be written, which takes its place once it is complete."""
    handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    finally:
        Path(part).unlink(missing_ok=True)


def shared(tables: Iterable[Table]) -> Iterator[Table]:
    """The same tables; those with equal arrays have one and the same."""
    known: dict[bytes, dict[str, Any]] = {}
    for table in tables:
        arrays = {name: getattr(table, name) for name in ARRAYS}
        yield dataclasses.replace(table, **known.setdefault(digest_of(table), arrays))


def digest_of(table: Table) -> bytes:
    """What tells a table's arrays from others."""
    digest = hashlib.blake2b(digest_size=16)
    for each in (getattr(table, name) for name in ARRAYS):
        digest.update(repr(each.shape).encode())
        digest.update(np.ascontiguousarray(each).data)
    return digest.digest()


def _packed(tables: Sequence[Table]) -> dict[str, Any]:
    """Tables as a few long arrays; those that share theirs have one stretch in them."""
    stretches = {id(table.next_state): table for table in tables}
    place = {key: number for number, key in enumerate(stretches)}
    different = list(stretches.values())
    packed = {name: np.concatenate([getattr(table, name) for table in different]) for name in ARRAYS}
    for name in ("next_state", "outcomes", "rows"):
        packed[f"{name}_sizes"] = np.array([len(getattr(table, name)) for table in different])
    packed |= {name: np.array([getattr(table, name) for table in tables]) for name in COLUMNS}
    packed["which"] = np.array([place[id(table.next_state)] for table in tables])
    packed["action_names"] = np.array(tables[0].action_names)
    packed["feature_names"] = np.array(tables[0].feature_names)
    return packed


def _unpacked(packed: Mapping[str, Any]) -> list[Table]:
    """The tables of such arrays, as views of them."""
    states = np.cumsum(packed["next_state_sizes"])[:-1]
    arrays: dict[str, Any] = {name: np.split(packed[name], states) for name in BY_STATE}
    for name in ("outcomes", "rows"):
        arrays[name] = np.split(packed[name], np.cumsum(packed[f"{name}_sizes"])[:-1])
    different = [dict(zip(arrays, each, strict=True)) for each in zip(*arrays.values(), strict=True)]
    columns = {name: packed[name].tolist() for name in (*COLUMNS, "which")}
    names: dict[str, Any] = {name: tuple(packed[name].tolist()) for name in ("action_names", "feature_names")}
    scenes = [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]
    return [Table(**names, **different[scene.pop("which")], **scene) for scene in scenes]
