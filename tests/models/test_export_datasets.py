"""Traces become datasets of Hugging Face's and Minari's; their own packages read them back."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import datasets
import gymnasium
import minari
import msgspec
import numpy as np
import pytest

import stateset_gym  # noqa: F401
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies import runs
from stateset_gym.policies.export import export
from stateset_gym.policies.recorded import scene_of
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.trace import Trace, decode, encode
from stateset_gym.rewards import Prices, Reward

ECHO, DESK = "StateSet/Echo-v0", "StateSet/CustomerService-v0"


def traces(env: str, policy: Any, count: int = 2, **arguments: Any) -> list[Trace]:
    setting = runs.Setting(env, policy, arguments)
    pool = setting.env().pool
    jobs = [Job(pool[number * 7]) for number in range(count)]
    return [decode(encode(trace)) for trace in runs.serial(setting, jobs)]


@pytest.fixture(scope="module")
def mixed() -> list[Trace]:
    """Conversations of all ends, with all faults, and with texts from outside ASCII."""
    words = iter(["Grüße, 重要\n\t\x00 \x7f", '{"type":"close"}'])
    odd = lambda observation, facts: next(words)  # noqa: E731
    found = [
        trace for name in ("expert", "liar", "null") for trace in traces(DESK, name, difficulty="hard", max_turns=9)
    ]
    return found + traces(DESK, odd, 1, difficulty="hard", max_turns=9)


def test_hugging_face_reads_the_dataset(mixed: list[Trace], tmp_path: Path) -> None:
    found = export(mixed, "hf", tmp_path / "data")
    dataset: Any = datasets.load_from_disk(str(tmp_path / "data"))
    assert len(dataset) == found.rows == len(mixed)
    for row, trace in zip(dataset, mixed, strict=True):
        assert decode(row["trace"]) == trace
        assert row["messages"] == trace.messages
        assert row["rewards"] == [step.reward for step in trace.steps]
        assert row["violations"] == trace.violations
        assert json.loads(row["terms"]) == trace.terms
        assert (row["return"], row["success"], row["truncated"]) == (trace.total, trace.success, trace.truncated)
        assert (row["scene"], row["split"], row["difficulty"]) == (trace.scene, "train", "hard")
    assert len(dataset.filter(lambda row: row["success"])) == sum(trace.success for trace in mixed)


def test_hugging_face_reads_rows_of_every_kind(tmp_path: Path) -> None:
    """A column has a type though nothing is in it."""
    export(traces(ECHO, "expert", 1), "hf", tmp_path / "one")
    dataset: Any = datasets.load_from_disk(str(tmp_path / "one"))
    assert dataset[0]["violations"] == []
    own = {"words": ["birch"], "asks": ["say"]}
    export(runs.serial(runs.Setting(ECHO, "expert"), [Job(own)]), "hf", tmp_path / "two")
    assert datasets.load_from_disk(str(tmp_path / "two")).features == dataset.features


@pytest.mark.parametrize("to", ["sft", "sft-turns", "dpo"])
def test_hugging_face_reads_the_lines(mixed: list[Trace], tmp_path: Path, to: Any) -> None:
    found = export(mixed, to, tmp_path / "lines.jsonl")
    cache = str(tmp_path / "cache")
    dataset: Any = datasets.load_dataset("json", data_files=str(found.path), split="train", cache_dir=cache)
    assert len(dataset) == found.rows
    columns = {"sft": ["messages"], "sft-turns": ["prompt", "completion"], "dpo": ["prompt", "chosen", "rejected"]}
    for name in columns[to]:
        assert {*dataset[0][name][0]} == {"role", "content"}


def test_minari_loads_the_dataset(mixed: list[Trace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    found = export(mixed, "minari", tmp_path / "support" / "mixed-v0")
    dataset = minari.load_dataset("support/mixed-v0")
    assert dataset.total_episodes == found.rows == len(mixed)
    assert dataset.total_steps == sum(len(trace.steps) for trace in mixed)
    for episode, trace in zip(dataset.iterate_episodes(), mixed, strict=True):
        assert episode.rewards.tolist() == [step.reward for step in trace.steps]
        assert (
            episode.terminations.tolist()[:-1] == episode.truncations.tolist()[:-1] == [False] * (len(trace.steps) - 1)
        )
        assert (episode.terminations[-1], episode.truncations[-1]) == (not trace.truncated, trace.truncated)
        assert len(episode.observations) == len(episode.actions) + 1
        assert json.loads(episode.infos["facts"][0]) == trace.opening
        assert all(map(dataset.observation_space.contains, episode.observations))
        assert all(map(dataset.action_space.contains, episode.actions))
    metadata: Any = [*dataset.storage.get_episode_metadata(range(len(mixed)))]
    assert [(each["scene"], each["policy"], each["return"]) for each in metadata] == [
        (trace.scene, trace.policy, trace.total) for trace in mixed
    ]
    assert "support/mixed-v0" in minari.list_local_datasets()


def test_minari_is_written_to_a_relative_path(
    mixed: list[Trace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for overwrite in (False, True):
        found = export(mixed[:1], "minari", "support/one-v0", overwrite=overwrite)
        assert found.path == Path("support/one-v0")
    assert minari.MinariDataset(tmp_path / "support" / "one-v0" / "data").total_episodes == 1
    assert [path.name for path in tmp_path.rglob("*-v0")] == ["one-v0"]


def test_minari_recovers_the_environment_and_its_episodes(mixed: list[Trace], tmp_path: Path) -> None:
    """What is in the dataset is what the environment hands out: observations, rewards and ends."""
    export(mixed, "minari", tmp_path / "mixed-v0")
    dataset = minari.MinariDataset(tmp_path / "mixed-v0" / "data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium's passive checker
        env = dataset.recover_environment()
    for episode, metadata in zip(
        dataset.iterate_episodes(), dataset.storage.get_episode_metadata(dataset.episode_indices), strict=True
    ):
        observation, _ = env.unwrapped.reset(options=metadata["options"])
        assert json.loads(episode.observations[0]) == observation
        for turn, action in enumerate(episode.actions):
            observation, reward, terminated, truncated, info = env.unwrapped.step(action)
            assert json.loads(episode.observations[turn + 1]) == observation
            assert np.isclose(episode.rewards[turn], reward)
            assert (episode.terminations[turn], episode.truncations[turn]) == (terminated, truncated)
            assert json.loads(episode.infos["facts"][turn + 1]) == info["facts"]


def test_minari_holds_what_its_environment_cannot_be_made_of(tmp_path: Path) -> None:
    reward = Reward(Prices(truth=0.5), extra={"brisk": lambda facts: -0.01})
    found = traces(DESK, "liar", reward=reward, max_turns=3) + traces(DESK, "liar", reward=reward, max_turns=4)
    own = [*runs.serial(runs.Setting(ECHO, "expert"), [Job({"words": ["birch"], "asks": ["say"]})])]
    export(found, "minari", tmp_path / "liar-v1")
    episodes: Any = [*minari.MinariDataset(tmp_path / "liar-v1" / "data").iterate_episodes()]
    for episode, trace in zip(episodes, found, strict=True):
        assert episode.rewards.tolist() == [step.reward for step in trace.steps]
        assert json.loads(episode.observations[0])["turns_left"] == trace.arguments["max_turns"]
    export(own, "minari", tmp_path / "own-v0")
    dataset = minari.MinariDataset(tmp_path / "own-v0" / "data")
    assert next(iter(dataset.storage.get_episode_metadata([0])))["options"] == {"scene": scene_of(own[0])}


def test_a_minari_dataset_is_named_with_a_version_and_is_of_one_environment(mixed: list[Trace], tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="a Minari dataset is named with a version: let it end like 'expert-v0'"):
        export(mixed, "minari", tmp_path / "expert")
    with pytest.raises(
        BadArgument, match="is of one environment, and here are StateSet/CustomerService-v0, StateSet/Echo"
    ):
        export([*mixed, *traces(ECHO, "expert")], "minari", tmp_path / "both-v0")
    empty = msgspec.structs.replace(mixed[0], steps=[], messages=mixed[0].messages[:2])
    with pytest.raises(BadArgument, match="was played in no turn at all"):
        export([empty], "minari", tmp_path / "empty-v0")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(("to", "name"), [("hf", "data"), ("minari", "data-v0")])
def test_a_folder_that_exists_stays(mixed: list[Trace], tmp_path: Path, to: Any, name: str) -> None:
    out = tmp_path / name
    export(mixed, to, out)
    with pytest.raises(BadArgument, match=r"exists: give overwrite=True \(--overwrite\) to replace it"):
        export(mixed, to, out)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(BadArgument, match=r"holds other things than an earlier output .* give another name"):
        export(mixed, to, tmp_path / "notes", overwrite=True)
    with pytest.raises(BadArgument, match=r"mine\.txt is a file, and the output is a folder"):
        export(mixed, to, tmp_path / "notes" / "mine.txt", overwrite=True)
    assert export(mixed[:1], to, out, overwrite=True).rows == 1
    assert {each.name for each in tmp_path.iterdir()} == {name, "notes"}


@pytest.mark.parametrize(("to", "package"), [("hf", "datasets"), ("minari", "minari"), ("minari", "pyarrow")])
def test_a_missing_package_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: Any, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"The format '{to}' needs {package}, which is not installed: run pip install \"stateset-gym\[data\]\""
    with pytest.raises(gymnasium.error.DependencyNotInstalled, match=message):
        export([], to, tmp_path / "out")
