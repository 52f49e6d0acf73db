"""Comparisons: trainers and policies side by side on one environment, each seed of each a run of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from ..envs.errors import BadArgument
from ..policies import registry
from ..policies.adapt import adapt
from . import settings
from .base import Trainer, find, make, names, plain
from .folder import RUN, Folder, Record
from .folder import differences as run_differences
from .held_out import test_scenes

FILE = "comparison.json"
"""The file in a comparison's folder that tells what is compared."""
RESULT = "result.json"
"""The file in a run's folder that tells what came of it."""
RANDOM, EXPERT = "random", "expert"
"""The policies that scores are measured between; they are measured in every comparison."""
KEPT = 50
"""A run is checkpointed so many times on its way, or after every step where it has fewer."""
GIVEN = {
    "env": "its arguments are the same for all: give them as `arguments` of the comparison",
    "seed": "a cell is trained once for each seed: give `seeds` of the comparison",
    "output": "a cell has a folder in that of the comparison",
}
"""The settings of a trainer that no cell chooses, and why."""


class Cell(NamedTuple):
    """What is compared with others."""

    name: str
    trainer: str = ""
    policy: str = ""
    """Either of the two."""
    start: str = ""
    """The cell from whose trained model this one begins, the one of the same seed."""
    settings: Mapping[str, Any] = {}
    """What the trainer is told, or what the policy is made with."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is compared, and on what."""

    env: Annotated[str, Meta(description="The id of the environment.")] = "StateSet/CustomerService-v0"
    arguments: Annotated[Mapping[str, Any], Meta(description="Its arguments, but for the split.")] = field(
        default_factory=dict
    )
    cells: Annotated[
        Mapping[str, Mapping[str, Any]], Meta(description="What is compared: a name, and what the cell is.")
    ] = field(default_factory=dict)
    seeds: Annotated[int, Meta(ge=1, description="How often each trainer trains: with the seeds 0, 1, ...")] = 1
    scenes: Annotated[
        int, Meta(ge=1, description="Scenes of the test split that all are measured on in the end, the same for all.")
    ] = 300
    points: Annotated[
        int, Meta(ge=0, description="Points of a learning curve: evaluations on the way; 0: only in the end.")
    ] = 10
    held_out: Annotated[int, Meta(ge=1, description="Scenes of the train split that these play.")] = 100

    @cached_property
    def all_cells(self) -> dict[str, Cell]:
        """The cells by their names, with those that are always measured."""
        ends = {name: {"policy": name} for name in (RANDOM, EXPERT)}
        for name, given in ends.items():
            if name in self.cells and dict(self.cells[name]) != given:
                raise BadArgument(
                    f"The cell {name!r} is what scores are measured from, {given}, here it is "
                    f"{dict(self.cells[name])}: give yours another name."
                )
        found = {name: _cell(name, given) for name, given in ({**ends, **self.cells}).items()}
        for cell in found.values():
            _check_start(cell, found)
        return found

    def seeds_of(self, cell: Cell) -> range:
        """What a cell is run with: a policy learns nothing, and is measured once."""
        return range(self.seeds if cell.trainer else 1)

    def trainer(self, cell: Cell, seed: int, output: Path) -> Trainer[Any]:
        """The trainer of a cell's run; what its cell does not say of evaluations and checkpoints is said here."""
        kind = find(cell.trainer).config_class
        known = settings.fields(kind)
        begun = {"model": str(self.folder(output, cell.start, seed) / "final")} if cell.start else {}
        if begun and "model" not in known:
            raise BadArgument(
                f"start={cell.start!r}: the trainer {cell.trainer!r} of the cell {cell.name!r} begins from no model: "
                "leave it out."
            )
        own = {**begun, **cell.settings}
        steps = settings.build(kind, own, f"the cell {cell.name!r}").steps
        usual = {
            "evaluate_every": max(1, steps // self.points) if self.points else 0,
            "held_out": self.held_out,
            "checkpoint_every": max(1, steps // KEPT),
            "tested": 0,  # what all are measured on in the end is not the trainer's business
        }
        told = {name: value for name, value in usual.items() if name in known} | own
        folder = self.folder(output, cell.name, seed)
        made = make(cell.trainer, self.env, env=dict(self.arguments), seed=seed, output=str(folder), **told)
        made.changed = {*begun}  # the comparison's folder may have been moved, or be named in another way
        return made

    def changes(self, cell: Cell, seed: int, folder: Path) -> Iterator[tuple[str, Any, Any]]:
        """In which settings the run of a folder was trained otherwise than it would be now."""
        trainer = self.trainer(cell, seed, folder.parents[1])
        now = Record(cell.trainer, self.env, plain(trainer.config))
        found = run_differences(Folder(folder).record(), now)
        return ((name, old, new) for name, old, new in found if name not in trainer.changed)

    @staticmethod
    def folder(output: Path, cell: str, seed: int) -> Path:
        """The folder of a run."""
        return output / cell / f"seed-{seed}"


def read(path: Path | str) -> Plan:
    """The comparison that a file tells of, YAML or JSON."""
    return plan(**settings.read(path))


def changed(found: Plan, **changes: Any) -> Plan:
    """A comparison with other settings."""
    return plan(**{**asdict(found), **changes})


def plan(**given: Any) -> Plan:
    """The comparison of these settings; whatever does not fit raises `BadArgument`."""
    found = settings.build(Plan, given, "a comparison")
    if not found.cells:
        raise BadArgument(f"cells={found.cells!r} leaves nothing to compare: name at least one trainer or policy.")
    if "split" in found.arguments:
        raise BadArgument(
            f"arguments={{'split': {found.arguments['split']!r}}} is not to be chosen: what is trained on is the train "
            "split, and what is measured on in the end the test split. Leave it out."
        )
    if "scenes" in found.arguments:
        raise BadArgument(
            "arguments={'scenes': ...} would be of one split, and a comparison trains on one and measures on the "
            "other: leave it out, and say by scenes=N how many are measured on."
        )
    try:
        json.dumps(asdict(found))
    except TypeError as error:
        raise BadArgument(f"A comparison runs in processes of their own, and is told as JSON: {error}.") from None
    _ = found.all_cells
    return found


def of_names(chosen: Sequence[str], env: str, **given: Any) -> dict[str, dict[str, Any]]:
    """The cells of trainers and policies by their names alone; `given` are settings of all the trainers."""
    cells: dict[str, dict[str, Any]] = {}
    trainers, policies = names(), registry.names(env)
    for name in chosen:
        known = name in trainers or name in policies or ":" in name
        if not known:
            raise BadArgument(f"There is no trainer or policy {name!r}{registry.hint(name, (*trainers, *policies))}")
        cells[name] = {"trainer": name, **given} if name in trainers else {"policy": name}
    return cells


def _cell(name: str, given: Mapping[str, Any]) -> Cell:
    """A cell as it is given."""
    rest = {**given}
    start, trainer, policy = (_word(name, key, rest.pop(key, "")) for key in ("start", "trainer", "policy"))
    if bool(trainer) == bool(policy):
        raise BadArgument(
            f"The cell {name!r} is {dict(given)}: give it either `trainer`, what trains, or `policy`, what is measured."
        )
    if not name.isprintable() or not name.strip(". ") or name != name.strip() or {*name} & {*'/\\:*?"<>|'}:
        raise BadArgument(f"The cell {name!r} cannot have a folder of this name: use letters, digits, spaces and '-'.")
    if policy:
        options = rest.pop("options", {})
        if rest or start or not isinstance(options, Mapping):
            what, value = next(iter(rest.items()), ("start", start) if start else ("options", options))
            raise BadArgument(
                f"{what}={value!r} is nothing that the cell {name!r} knows, which measures a policy: give `options`, "
                "names and values that it is made with, or nothing."
            )
        return Cell(name, policy=policy, settings=options)
    for setting in rest:
        if setting in GIVEN:
            raise BadArgument(f"{setting}={rest[setting]!r} is not for the cell {name!r} to choose: {GIVEN[setting]}.")
    return Cell(name, trainer=trainer, start=start, settings=rest)


def _word(name: str, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadArgument(f"{key}={value!r} of the cell {name!r} is no name: write it as text.")
    return value


def _check_start(cell: Cell, cells: Mapping[str, Cell]) -> None:
    """Raise where what a cell begins from is not there, or comes back to it."""
    met, at = [cell.name], cell
    while at.start:
        if at.start not in cells:
            raise BadArgument(f"start={at.start!r} of {at.name!r} is no cell{registry.hint(at.start, cells)}")
        if at.start in met:
            raise BadArgument(f"start={at.start!r} of {at.name!r} leads in a circle: {' <- '.join([*met, at.start])}.")
        at = cells[at.start]
        met.append(at.name)
        if not at.trainer:
            raise BadArgument(f"start={at.name!r} of {met[-2]!r} is a policy, and has trained no model: name another.")


def check(found: Plan, output: Path) -> None:
    """Raise what can be known to go wrong before anything is run."""
    test_scenes(found.env, found.arguments, found.scenes, "scenes")
    for cell in found.all_cells.values():
        if cell.policy:
            adapt(registry.make(cell.policy, found.env, **cell.settings)).close()
            continue
        trainer = found.trainer(cell, 0, output)
        if type(trainer).load is Trainer.load:
            trainer.load("")
        if not cell.start:  # the model that another begins from is not there yet
            trainer.check()


def same(found: Plan, output: Path) -> None:
    """Raise where a folder holds another comparison; cells of which nothing was run yet may have changed."""
    if not (output / FILE).exists():
        return
    for what, old, new in differences(kept(output), found, output):
        raise BadArgument(
            f"{output} holds another comparison: its {what} {_said(old)}, here {_said(new)}. Go on with what it was "
            "begun with (other numbers of seeds and further cells may be asked for), or name another folder (output)."
        )


def keep(found: Plan, output: Path) -> None:
    """Write what is compared into its folder, for the processes of its cells."""
    write(output / FILE, asdict(found))


def kept(output: Path) -> Plan:
    """What is compared in a folder."""
    try:
        return plan(**json.loads((output / FILE).read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        raise BadArgument(f"There is no {output / FILE}: name the folder of a comparison (output).") from None
    except ValueError as error:
        raise BadArgument(f"{output / FILE} cannot be read ({error}): put it back, or begin anew.") from None


NOTHING = object()


def differences(old: Plan, new: Plan, output: Path) -> Iterator[tuple[str, Any, Any]]:
    """In what a comparison is not what was begun, or more of it."""
    for name in ("env", "arguments", "scenes", "points", "held_out"):
        if getattr(old, name) != getattr(new, name):
            yield f"{name} is", getattr(old, name), getattr(new, name)
    for name, cell in old.cells.items():
        if (other := new.cells.get(name, NOTHING)) != cell and _begun(output / name):
            yield f"cell {name!r} is", cell, other


def _begun(folder: Path) -> bool:
    """Whether anything was trained or measured in a cell's folder."""
    return any(any(folder.glob(f"seed-*/{name}")) for name in (RUN, RESULT))


def _said(value: Any) -> str:
    return "there is none" if value is NOTHING else f"{value!r}"


def write(file: Path, value: Any) -> None:
    """Write JSON, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    part.replace(file)
