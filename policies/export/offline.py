"""A Minari dataset: observations and actions as JSON text, in Gymnasium's `Text` spaces.

Minari keeps Gymnasium's own spaces only, and whoever loads a dataset need not have this package. An observation is the
JSON text of what the environment handed out; an action is the agent's text, which `step` takes as it is.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import msgspec
from gymnasium.spaces import Text

from ...envs.conversation import ConversationEnv
from ...envs.errors import BadArgument
from ...rewards.terms import Reward
from ..recorded import BESIDE, made, scene_of
from ..trace import Trace, facts_of
from .sft import about, spoken_at

ASCII = "".join(map(chr, range(32, 127)))


def write(traces: Iterable[Trace], path: Path, name: str) -> int:
    """Write the dataset to a folder; back comes how many episodes it has."""
    from minari.data_collector.episode_buffer import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    kept = _of_one_environment([*traces])
    limits = _Limits()
    shown = [list(_observations(trace, limits.of(trace))) for trace in kept]
    done = [[trace.messages[spoken_at(trace, turn)]["content"] for turn in range(len(trace.steps))] for trace in kept]
    path.mkdir()
    storage = MinariStorage.new(
        path / "data",
        observation_space=_space([text for texts in shown for text in texts]),
        action_space=_space([text for texts in done for text in texts]),
        env_spec=_spec(kept),
        data_format="arrow",
    )
    storage.update_metadata(_metadata(kept, name))
    # Minari sums up the sizes of all files after each episode: once, at the end, is enough.
    measure, storage.get_size = storage.get_size, lambda: 0.0
    storage.update_episodes(
        EpisodeBuffer(options={"scene": scene_of(trace)}, observations=seen, actions=acts, **_paid(trace))
        for trace, seen, acts in zip(kept, shown, done, strict=True)
    )
    storage.update_episode_metadata(list(map(about, kept)))
    storage.update_metadata({"dataset_size": float(measure())})
    return len(kept)


def dataset_id(out: Path) -> str:
    """The id by which Minari finds a dataset: its path below the folder of all datasets, or else its name."""
    from minari.dataset.minari_dataset import DATASET_ID_RE

    root = Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets").resolve()
    full = out.resolve()
    name = full.relative_to(root).as_posix() if full.is_relative_to(root) else full.name
    match = DATASET_ID_RE.fullmatch(name)
    if match is None or not match["version"]:
        raise BadArgument(f"{out}: a Minari dataset is named with a version: let it end like 'expert-v0'.")
    return name


def _of_one_environment(traces: list[Trace]) -> list[Trace]:
    ids = sorted({trace.env for trace in traces})
    if len(ids) > 1:
        raise BadArgument(f"A Minari dataset is of one environment, and here are {', '.join(ids)}: export each apart.")
    empty = next((trace.scene for trace in traces if not trace.steps), None)
    if empty is not None:
        raise BadArgument(f"{empty} was played in no turn at all, which Minari does not hold: leave it out.")
    return traces


class _Limits:
    """How many turns a conversation may take: the scene's affair, so the environment is asked."""

    def __init__(self) -> None:
        self._worlds: dict[bytes, ConversationEnv] = {}

    def of(self, trace: Trace) -> int:
        key = msgspec.json.encode([trace.env, trace.arguments])
        if key not in self._worlds:
            self._worlds[key] = made(trace, Reward())
        observation, _ = self._worlds[key].reset(options={"scene": scene_of(trace)})
        return int(observation["turns_left"])


def _observations(trace: Trace, limit: int) -> Iterator[str]:
    """What the environment handed out, from the reset to the end."""
    for turn in range(len(trace.steps) + 1):
        messages = trace.messages[: spoken_at(trace, turn)]
        yield json.dumps({"messages": messages, "turn": turn, "turns_left": limit - turn})


def _space(texts: Sequence[str]) -> Text:
    """The space of these texts, and of all that are no longer and use no other characters."""
    return Text(max(map(len, texts)), min_length=0, charset="".join(sorted({*ASCII, *"".join(texts)})))


def _paid(trace: Trace) -> dict[str, Any]:
    """Rewards, ends and infos; what is no number is JSON text."""
    last = len(trace.steps) - 1
    over = [turn == last and trace.outcome != "" for turn in range(last + 1)]
    terms = [{}, *(step.terms for step in trace.steps)]
    violations = [[], *(step.violations for step in trace.steps)]
    return {
        "rewards": [step.reward for step in trace.steps],
        "terminations": [end and not trace.truncated for end in over],
        "truncations": [end and trace.truncated for end in over],
        "infos": {
            "facts": list(map(json.dumps, facts_of(trace))),
            "reward_terms": list(map(json.dumps, terms)),
            "violations": list(map(json.dumps, violations)),
            "malformed": ["", *(step.malformed for step in trace.steps)],
            "refused": ["", *(step.refused for step in trace.steps)],
            "outcome": [*[""] * (last + 1), trace.outcome],
            "is_success": [*[False] * (last + 1), trace.success],
        },
    }


def _spec(traces: Sequence[Trace]) -> Any:
    """How the environment is made again: with the arguments that all traces share, but for code."""
    first, *others = (trace.arguments for trace in traces)
    shared = {
        name: value
        for name, value in first.items()
        if name not in BESIDE and all(name in other and other[name] == value for other in others)
    }
    return gymnasium.make(traces[0].env, disable_env_checker=True, **shared).spec


def _metadata(traces: Sequence[Trace], name: str) -> dict[str, Any]:
    env, names = traces[0].env, sorted({trace.policy for trace in traces})
    return {
        "dataset_id": name,
        "minari_version": importlib.metadata.version("minari"),
        "algorithm_name": ", ".join(names),
        "description": f"Conversations in {env}. Observations are JSON text; actions are what step() takes.",
        "requirements": ["stateset-gym"],
    }
