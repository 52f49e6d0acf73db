"""A Hugging Face dataset: a row for each episode."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ..trace import Trace, encode, split_of
from .sft import Row, about


def write(traces: Iterable[Trace], path: Path) -> int:
    """Save the dataset to a folder, for `datasets.load_from_disk`; back comes how many rows it has."""
    import datasets

    dataset = datasets.Dataset.from_list([_row(trace) for trace in traces], features=_features(datasets))
    quiet = datasets.utils.are_progress_bars_disabled()
    datasets.utils.disable_progress_bars()
    try:
        dataset.save_to_disk(path)
    finally:
        if not quiet:
            datasets.utils.enable_progress_bars()
    return len(dataset)


def _row(trace: Trace) -> Row:
    spoken = [message["content"] for message in trace.messages if message["role"] == "assistant"]
    return {
        "messages": trace.messages,
        "split": "",
        "difficulty": "",
        **about(trace),
        **split_of(trace.scene),
        "truncated": trace.truncated,
        "violations": trace.violations,
        "actions": spoken,
        "rewards": [step.reward for step in trace.steps],
        "terms": msgspec.json.encode(trace.terms).decode(),
        "trace": encode(trace).decode().rstrip("\n"),
    }


def _features(datasets: Any) -> Any:
    kinds = {
        "return": "float64",
        "success": "bool",
        "truncated": "bool",
        "trial": "int64",
        "turns": "int64",
        "par": "int64",
    }
    names = ("env", "scene", "kind", "split", "difficulty", "policy", "outcome", "terms", "trace")
    value = datasets.Value
    return datasets.Features(
        {
            "messages": [{"role": value("string"), "content": value("string")}],
            **{name: value("string") for name in names},
            **{name: value(kind) for name, kind in kinds.items()},
            "violations": [value("string")],
            "actions": [value("string")],
            "rewards": [value("float64")],
        }
    )
