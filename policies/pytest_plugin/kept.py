"""What a test has evaluated and said, its policy and its cassettes; nothing is imported that pytest does not need."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stateset_gym.policies.evaluation import Report

    from .talk import Conversation


@dataclass
class Kept:
    """What a test has evaluated and said so far."""

    reports: list[Report] = field(default_factory=list)
    talks: list[Conversation] = field(default_factory=list)
    cassettes: int = 0
    """How many cassettes were taken that bear the test's own name."""

    def sections(self, arguments: Iterable[Any]) -> Iterator[tuple[str, str]]:
        """Title and text of what a failure shows; reports may also be among the test's arguments."""
        module: Any = sys.modules.get("stateset_gym.policies.evaluation.report")
        given = [each for each in arguments if isinstance(each, module.Report)] if module else []
        if given or self.reports or self.talks:
            from . import failure

            reports = {id(report): report for report in (*self.reports, *given)}
            yield from failure.sections([*reports.values()], self.talks)


CURRENT = pytest.StashKey[pytest.Item]()
"""In the configuration: the test that is run."""
KEPT = pytest.StashKey[Kept]()
"""In a test: what it keeps."""


def current(config: pytest.Config) -> pytest.Item:
    """The test that is run."""
    return config.stash[CURRENT]


def default_policy(config: pytest.Config) -> str:
    """The policy of the command line."""
    __tracebackhide__ = True
    name: str | None = config.getoption("stateset_policy")
    if name is None:
        raise pytest.UsageError("The test names no policy: name one in it, or run pytest with --stateset-policy=NAME.")
    return name


def cassette_options(config: pytest.Config, name: str | Path | None) -> dict[str, Any]:
    """What a hosted model is made with to record or replay: cassettes/MODULE/NAME.jsonl beside the test."""
    __tracebackhide__ = True
    item, record = current(config), bool(config.getoption("stateset_record"))
    path = item.path.parent / "cassettes" / item.path.stem / (_own_name(item) if name is None else name)
    if record:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise pytest.UsageError(f"There is no cassette {path}: pytest --stateset-record asks the model and makes it.")
    return {"cassette": path, "record": record}


def _own_name(item: pytest.Item) -> str:
    """The file name of a test: the second cassette that it takes has another than the first."""
    kept = item.stash[KEPT]
    kept.cassettes += 1
    number = f"-{kept.cassettes}" if kept.cassettes > 1 else ""
    return re.sub(r"[^\w.-]+", "-", item.location[2]).strip("-") + number + ".jsonl"
