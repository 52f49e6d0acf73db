"""Trainers: found by name, begun, told of, interrupted and resumed - shown by one that another package brings."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from stateset_gym import policies, trainers
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.rollout import rollout
from stateset_gym.rewards import Reward
from stateset_gym.trainers import Event, Folder, Share, Summary, Trainer
from stateset_gym.trainers.folder import FILES, Record

from .plugged import install, installed

ECHO = "StateSet/Echo-v0"
EASY = {"difficulty": "easy"}


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Another package, that brings a trainer."""
    with installed(tmp_path_factory.mktemp("site")) as folder:
        yield folder


def bandit(output: Path, **config: Any) -> Trainer[Any]:
    given: dict[str, Any] = {"steps": 40, "held_out": 20, "env": EASY, "output": output}
    return trainers.make("bandit", ECHO, **given | config)


def timeless(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run without its timings."""
    lines = Folder(folder).metrics()
    return [{name: value for name, value in line.items() if not name.endswith("seconds")} for line in lines]


def values(folder: Path) -> Any:
    return json.loads((folder / "final" / "values.json").read_text())


def python(code: str, *paths: Path) -> str:
    """Run code in a fresh process."""
    path = os.pathsep.join(map(str, paths))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_names_are_ours_and_then_those_of_others() -> None:
    language = ("sft", "grpo", "gspo", "dr_grpo", "dapo", "rloo", "grpo_turns", "dpo")
    classical = ("bc", "maskable_ppo", "ppo", "recurrent_ppo", "a2c", "dqn")
    assert trainers.names() == (*language, *classical, "rllib_ppo", "bandit", "broken", "missing")


def test_every_trainer_has_a_sentence() -> None:
    told = {name: trainers.about(name) for name in trainers.names()}
    assert told["bandit"] == "Learns which word of the last message is to be said."
    assert told["sft"].startswith("Learns to say what the expert says")  # ours, not the other package's
    assert told["missing"] == "cannot be used: No module named 'bandit_trainer_that_is_gone'"
    assert "names a subclass of stateset_gym.trainers.Trainer" in told["broken"]
    assert all(told.values())


def test_the_import_and_another_packages_trainer_need_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from stateset_gym import trainers; trainers.names();"
        f"made = trainers.make('bandit', {ECHO!r}, steps=3, env={EASY!r}, output={str(tmp_path / 'run')!r});"
        "made.train();"
        "print({'torch', 'transformers', 'trl', 'yaml'} & {*sys.modules})"
    )
    assert python(code, install(tmp_path / "site")) == "set()"


def test_a_missing_package_names_the_remedy() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from stateset_gym import trainers\n"
        f"try: trainers.make('sft', {ECHO!r}).check()\n"
        "except ValueError as error: print(error)"
    )
    assert python(code) == "Trainer 'sft' needs the package torch: pip install \"stateset-gym[llm]\"."


def test_it_learns(tmp_path: Path) -> None:
    trainer = bandit(tmp_path / "run", steps=60, held_out=100)
    policy = trainer.train()
    assert trainer.summary is not None
    assert trainer.summary.before is not None
    assert trainer.summary.after is not None
    assert (trainer.summary.before.successes, trainer.summary.after.successes) == (0, 100)
    env = gymnasium.make(ECHO, split="test", difficulty="easy")
    assert rollout(policy, env, seed=3).total == 1


def test_what_was_saved_is_a_policy(tmp_path: Path) -> None:
    bandit(tmp_path / "run").train()
    env = gymnasium.make(ECHO, split="test", difficulty="easy")
    agent = policies.make("said", env, path=str(tmp_path / "run" / "final"))
    assert rollout(agent, env, seed=3).total == 1


def test_nothing_is_saved_before_it_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"call train\(\) first"):
        bandit(tmp_path).save(tmp_path / "model")


def test_the_folder_tells_of_the_run(tmp_path: Path) -> None:
    trainer = bandit(tmp_path / "run", log_every=3, steps=10)
    trainer.train()
    record = Folder(tmp_path / "run").record()
    assert (record.trainer, record.env_id, record.objects) == ("bandit", ECHO, [])
    assert record.config["env"] == EASY
    assert record.config["steps"] == 10
    assert record.versions["gymnasium"] == gymnasium.__version__
    assert [line["step"] for line in Folder(tmp_path / "run").metrics()] == [3, 6, 9, 10]
    assert Folder(tmp_path / "run").summary() == trainer.summary
    assert all((tmp_path / "run" / name).exists() for name in FILES)


def test_without_a_name_a_run_gets_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = trainers.make("bandit", ECHO, env=EASY, steps=2, held_out=0)
    assert trainer.folder is trainer.folder
    trainer.train()
    (made,) = Path("runs").iterdir()
    assert made.name.endswith("-bandit-Echo-v0")
    assert made == trainer.folder.path


def test_a_class_used_as_such_has_the_name_it_is_registered_by(tmp_path: Path) -> None:
    found = trainers.find("bandit")
    assert found(ECHO, found.config_class(env=EASY, output=str(tmp_path))).name == "bandit"


def test_callbacks_are_told_of_each_step_and_may_end_the_training(tmp_path: Path) -> None:
    met: list[Event] = []

    def watch(event: Event) -> bool:
        met.append(event)
        return event.step == 5

    trainer = bandit(tmp_path / "run", log_every=100)
    trainer.train(callbacks=[watch])
    assert [(event.step, event.steps) for event in met] == [(step, 40) for step in range(1, 6)]
    assert met[0].metrics.keys() == {"reward", "best"}
    assert trainer.summary is not None
    assert (trainer.summary.stopped, trainer.summary.steps) == ("callback", 5)


def test_progress_is_told(tmp_path: Path) -> None:
    ticks: list[tuple[str, int, int]] = []
    bandit(tmp_path / "run", steps=3).train(progress=lambda *tick: ticks.append(tick))
    assert ticks[0] == ("bandit", 0, 3)
    assert [(done, total) for _, done, total in ticks[1:]] == [(1, 3), (2, 3), (3, 3)]
    assert all(what.startswith("bandit reward ") for what, _, _ in ticks[1:])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, number: int) -> None:
    def interrupt(event: Event) -> None:
        if event.step == 13:
            os.kill(os.getpid(), number)

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    bandit(tmp_path / "whole").train()
    cut = bandit(tmp_path / "cut")
    cut.train(callbacks=[interrupt])
    assert cut.summary is not None
    assert (cut.summary.stopped, cut.summary.steps) == ("interrupted", 13)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    resumed = trainers.resume(tmp_path / "cut")
    resumed.train(resume=True)
    assert resumed.summary is not None
    assert (resumed.summary.stopped, resumed.summary.steps) == ("", 40)
    assert values(tmp_path / "cut") == values(tmp_path / "whole")
    assert timeless(tmp_path / "cut") == timeless(tmp_path / "whole")
    seconds = [line["seconds"] for line in Folder(tmp_path / "cut").metrics()]
    assert seconds == sorted(seconds)


def test_the_second_interruption_ends_at_once(tmp_path: Path) -> None:
    def interrupt(event: Event) -> None:
        for _ in range(2 * (event.step == 13)):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        bandit(tmp_path / "cut", checkpoint_every=5).train(callbacks=[interrupt])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert timeless(tmp_path / "cut")[-1]["step"] == 13


@pytest.mark.parametrize("every", [0, 5])
def test_nothing_stands_twice_after_a_crash(tmp_path: Path, every: int) -> None:
    def crash(event: Event) -> None:
        if event.step == 13:
            raise MemoryError

    bandit(tmp_path / "whole").train()
    with pytest.raises(MemoryError):
        bandit(tmp_path / "cut", checkpoint_every=every).train(callbacks=[crash])
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 14, "rew')
    steps: list[int] = []
    trainers.resume(tmp_path / "cut").train(resume=True, callbacks=[lambda event: steps.append(event.step)])
    assert steps[0] == (11 if every else 1)
    assert timeless(tmp_path / "cut") == timeless(tmp_path / "whole")


def test_another_thread_trains_too(tmp_path: Path) -> None:
    thread = threading.Thread(target=bandit(tmp_path / "run").train)
    thread.start()
    thread.join()
    assert Folder(tmp_path / "run").summary().steps == 40


def test_a_run_may_go_on_with_more_steps_and_from_another_place(tmp_path: Path) -> None:
    bandit(tmp_path / "run", steps=5).train()
    (tmp_path / "run").rename(tmp_path / "moved")
    trainers.resume(tmp_path / "moved", steps=8).train(resume=True)
    assert [line["step"] for line in Folder(tmp_path / "moved").metrics()] == [*range(1, 9)]
    assert Folder(tmp_path / "moved").record().config["steps"] == 8
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_lost(tmp_path: Path) -> None:
    bandit(tmp_path / "run").train()
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(BadArgument, match=r"run holds a run already: go on with it \(resume\), remove it"):
        bandit(tmp_path / "run").train()
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_run_of_another_kind_is_not_gone_on_with(tmp_path: Path) -> None:
    bandit(tmp_path / "run").train()
    with pytest.raises(BadArgument, match=r"of another kind: its rate is 0\.2, here it is 0\.5\. Resume with"):
        bandit(tmp_path / "run", rate=0.5).train(resume=True)


def test_an_object_is_given_again(tmp_path: Path) -> None:
    reward = Reward(extra={"brisk": lambda facts: -0.01})
    bandit(tmp_path / "run", env={**EASY, "reward": reward}, steps=3).train()
    with pytest.raises(BadArgument, match=r"env\.reward, an object that no file holds: give it again, resume\("):
        trainers.resume(tmp_path / "run")
    trainers.resume(tmp_path / "run", env={"reward": reward}, steps=5).train(resume=True)
    assert len(timeless(tmp_path / "run")) == 5


def test_where_several_processes_train_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadArgument, match="a folder of its own: name one for all"):
        trainers.make("bandit", ECHO, env=EASY).train()
    ticks: list[Any] = []
    for rank in ("1", "0"):  # the other one's folder may be there already, or not yet
        monkeypatch.setenv("RANK", rank)
        bandit(tmp_path / "run", steps=3).train(progress=lambda *tick: ticks.append(tick))
        assert (tmp_path / "run" / "run.json").exists() == (rank == "0")
        assert bool(ticks) == (rank == "0")


@pytest.mark.parametrize(
    ("name", "env_id", "config", "message"),
    [
        ("bandits", ECHO, {}, r"Trainer 'bandits' does not exist\. Did you mean: 'bandit'\?"),
        ("broken", ECHO, {}, r"Trainer 'broken' is <class .*>: its entry point names a subclass"),
        ("bandit", ECHO, {"stepz": 3}, r"stepz=3 is no setting of the trainer 'bandit'\. Did you mean: 'steps'\?"),
        ("bandit", ECHO, {"env": {"split": "test"}}, r"'split': 'test'.* is not to be chosen: .* Leave it out"),
        ("bandit", "CartPole-v1", {}, "is no conversation"),
    ],
)
def test_what_cannot_be_made_is_told(name: str, env_id: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        trainers.make(name, env_id, **config)


def test_an_environment_that_is_not_there_is_told() -> None:
    with pytest.raises(gymnasium.error.Error, match="Did you mean"):
        trainers.make("bandit", "StateSet/Ecko-v0")


def test_a_config_of_another_trainer_is_told() -> None:
    with pytest.raises(BadArgument, match="is no BanditConfig, which Bandit takes: use make"):
        trainers.find("bandit")(ECHO, trainers.Config())


def test_arguments_of_the_environment_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=r"dificulty='easy' is no argument of .*Did you mean: 'difficulty'"):
        bandit(tmp_path / "run", env={"dificulty": "easy"}).train()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", None, r"There is no .*run\.json: name the folder of a run"),
        ("run.json", "{", r"run\.json cannot be read \(.*\): name the folder of a run"),
        ("run.json", '{"trainer": "bandit"}', r"run\.json cannot be read \(.*env_id"),
        (
            "metrics.jsonl",
            '{"step": 1}\n{"reward": 2}\n{"step": 3}\n',
            r"metrics\.jsonl, line 2, is no line of metrics",
        ),
        ("metrics.jsonl", "[]\n", r"metrics\.jsonl, line 1, is no line of metrics"),
        ("summary.json", None, r"There is no .*summary\.json: it is written when a training ends"),
    ],
)
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    reader = {"run.json": Folder.record, "metrics.jsonl": Folder.metrics, "summary.json": Folder.summary}[name]
    with pytest.raises(BadArgument, match=message):
        reader(Folder(tmp_path))


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.whole(folder.checkpoint(5)) as part:
        (part / "old").touch()
    with pytest.raises(FileNotFoundError), folder.whole(folder.checkpoint(5)) as part:
        (part / "no such folder" / "new").touch()
    assert [file.name for file in folder.checkpoint(5).iterdir()] == ["old"]
    with folder.whole(folder.checkpoint(5)) as part:
        (part / "new").touch()
    with folder.whole(folder.checkpoint(15)):
        pass
    assert [file.name for file in folder.checkpoint(5).iterdir()] == ["new"]
    assert [step for step, _ in folder.saved()] == [5, 15]


def test_numbers_that_are_none_are_kept_out_of_the_lines(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "run")
    folder.begin(Record("bandit", ECHO, {}))
    folder.add(1, {"loss": float("nan"), "reward": 0.5})
    assert folder.metrics() == [{"step": 1, "loss": None, "reward": 0.5}]


def test_the_last_line_is_honest() -> None:
    summary = Summary(
        before=Share.of(30, 100),
        after=Share.of(97, 100),
        train=Share.of(50, 50),
        return_before=-0.1,
        return_after=0.95,
        episodes=12_800,
        tokens=1_234_567,
        minutes=7.25,
        steps=100,
        best_step=80,
        stopped="early stop",
    )
    assert str(summary) == (
        "Success on 100 held-out test scenes: 30.0% (21.9% to 39.6%) before, 97.0% (91.5% to 99.0%) after. "
        "On 50 scenes of the train split: 100.0% (92.9% to 100.0%). Mean return: -0.100 before, +0.950 after. "
        "100 steps, the best at step 80, 12,800 episodes, 1,234,567 tokens, 7.2 minutes. "
        "Ended before its last step: early stop."
    )
    assert str(Summary(steps=1)) == "1 steps, 0 episodes, 0.0 minutes."
