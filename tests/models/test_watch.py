"""A training tells what it measures, keeps its best model, ends where it is asked to, and goes on from there."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments

import stateset_gym  # noqa: F401
from stateset_gym.policies.local.load import load, silent
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.runs import Player, Setting
from stateset_gym.trainers import held_out, reference
from stateset_gym.trainers.folder import Folder, Record, Share
from stateset_gym.trainers.held_out import HeldOut, Success
from stateset_gym.trainers.telling import Told, heeded, rank
from stateset_gym.trainers.watch import Evaluation, is_patience_over, numbers, watch

ECHO, BARE = "StateSet/Echo-v0", {"prompt": "none"}


class Rows(torch.utils.data.Dataset):
    """A model learns of these to say the same word whatever it is asked for, which is right now and then."""

    def __init__(self, tokenizer):
        player = Player(Setting(ECHO, "expert", {**BARE, "split": "train"}))
        talks = [
            [*episode.messages[:1], {"role": "assistant", "content": '{"type":"say","word":"amber"}'}]
            for episode in player.play([Job(scene) for scene in held_out.training_scenes(ECHO, BARE, 0, 16)])
        ]
        texts = [tokenizer.apply_chat_template(talk, tokenize=False) for talk in talks]
        self.rows = tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)["input_ids"]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        row = self.rows[number]
        return {"input_ids": row, "labels": row.masked_fill(row == 0, -100)}


class Run:
    """A training of a tiny model on Echo, and what became of it."""

    def __init__(self, path, steps, resume=None, callbacks=(), evaluate=None, log_every=1, tick=lambda *told: None):
        folder = Folder(path, writes=rank() == 0)
        record = Record("test", ECHO, {})
        folder.begin(record) if resume is None else folder.resume(record, resume)
        self.tokenizer = reference.tokenizer(ECHO, 400, 50, **BARE)
        arguments = TrainingArguments(
            folder.checkpoints,
            max_steps=steps,
            per_device_train_batch_size=8,
            learning_rate=5e-3,
            lr_scheduler_type="constant",
            logging_steps=log_every,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            ddp_backend="gloo" if "RANK" in os.environ else None,
            dataloader_pin_memory=False,
        )
        self.trainer = Trainer(
            reference.model(self.tokenizer, width=32, layers=2, context=256),
            arguments,
            train_dataset=Rows(self.tokenizer),
        )
        self.told = Told(folder, "test", steps, resume or 0, callbacks, tick, lambda summary: None)
        evaluation = evaluate and Evaluation(tokenizer=self.tokenizer, **evaluate)
        self.watch = watch(self.trainer, self.told, evaluation)
        self.folder = folder
        with heeded(self.told.interrupt), silent():
            self.trainer.train(resume_from_checkpoint=None if resume is None else str(folder.checkpoint(resume)))
        self.step = self.trainer.state.global_step

    def parameters(self):
        return [weight.detach() for weight in self.trainer.model.parameters()]

    def lines(self):
        return [
            {name: value for name, value in line.items() if not name.endswith("seconds")}
            for line in self.folder.metrics()
        ]


def equal(one, other):
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def scenes(batch=16):
    names = held_out.validation_scenes(ECHO, BARE, 16)
    return HeldOut(ECHO, BARE, names, temperature=0.0, max_new_tokens=24, batch=batch)


class Played(HeldOut):
    """Successes of scenes as they are told, one measurement after another; the returns follow if they are given."""

    def __init__(self, *wins, count=16):
        self.wins, self.count = list(wins), count

    def measure(self, loaded, tick=None):
        wins, mean = self.wins.pop(0) if isinstance(self.wins[0], tuple) else (self.wins.pop(0), 0.0)
        return Success(Share.of(wins, self.count), mean, 0, 0, 0.0)


def test_every_step_has_a_line_and_every_callback_hears_of_it(tmp_path, capfd):
    events, ticks = [], []
    ends = [events.append, lambda event: event.step == 5]
    run = Run(tmp_path / "run", 5, callbacks=ends, tick=lambda *told: ticks.append(told))
    lines = run.folder.metrics()
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert all({"loss", "learning_rate", "grad_norm", "seconds"} <= {*line} for line in lines)
    assert all(math.isfinite(value) for line in lines for value in line.values())
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert [(event.step, event.steps) for event in events] == [(step, 5) for step in range(1, 6)]
    assert [event.metrics["loss"] for event in events] == [line["loss"] for line in lines]
    assert [told[1:] for told in ticks] == [(step, 5) for step in range(6)]
    assert ticks[-1][0] == f"test loss {lines[-1]['loss']:.3f}"
    assert capfd.readouterr() == ("", "")


def test_what_is_logged_now_and_then_leaves_no_step_without_its_callbacks(tmp_path):
    events = []
    run = Run(tmp_path / "run", 5, callbacks=[events.append], log_every=2)
    assert [line["step"] for line in run.folder.metrics()] == [2, 4]
    assert [(event.step, "loss" in event.metrics) for event in events] == [
        (1, False),
        (2, True),
        (3, False),
        (4, True),
        (5, False),
    ]


def test_a_callback_ends_the_training_with_a_checkpoint(tmp_path):
    run = Run(tmp_path / "run", 9, callbacks=[lambda event: event.step == 3])
    assert (run.step, run.told.stopped) == (3, "callback")
    assert [step for step, _ in run.folder.saved()] == [3]
    last = Run(tmp_path / "last", 3, callbacks=[lambda event: event.step == 3])
    assert (last.step, last.told.stopped) == (3, "")


def test_the_model_that_did_best_on_held_out_scenes_is_kept(tmp_path):
    told = []
    run = Run(
        tmp_path / "run",
        35,
        evaluate={"held_out": scenes(), "every": 10},
        tick=lambda *what: told.append(what),
    )
    measured = {line["step"]: line for line in run.folder.metrics() if "held_out_success" in line}
    assert [*measured] == [0, 10, 20, 30, 35]
    assert "loss" not in measured[0]
    assert "loss" in measured[10]
    assert measured[0]["held_out_success"] == 0 < run.watch.best.successes / 16
    ranks = {step: (line["held_out_success"], line["held_out_return"]) for step, line in measured.items()}
    assert run.watch.best.step == max(ranks, key=lambda step: (ranks[step], -step))
    kept = json.loads((run.folder.best / "best.json").read_bytes())
    assert (kept["step"], kept["successes"], kept["scenes"]) == (run.watch.best.step, run.watch.best.successes, 16)
    again = scenes().measure(load(run.folder.best, "cpu", "auto"))
    line = measured[kept["step"]]
    assert (again.share.successes, again.mean_return) == (kept["successes"], kept["mean_return"])
    assert (again.share.mean, again.share.low, again.share.high, again.mean_return, again.malformed) == (
        *(line[f"held_out_{name}"] for name in ("success", "low", "high", "return", "malformed")),
    )
    assert ("held out", 16, 16) in told


def test_measuring_changes_nothing_of_the_training(tmp_path):
    bare, measured = (
        Run(tmp_path / name, 6, evaluate=evaluate)
        for name, evaluate in (("bare", None), ("measured", {"held_out": scenes(), "every": 2}))
    )
    assert equal(bare.parameters(), measured.parameters())
    ours = [
        {name: value for name, value in line.items() if not name.startswith("held_out")}
        for line in measured.lines()
        if line["step"]
    ]
    assert ours == bare.lines()


def test_it_ends_early_where_success_grows_no_more(tmp_path):
    wins = [0, 5, 9, 9, 8, 10, 10, 9, 10, 16]
    run = Run(tmp_path / "run", 9, evaluate={"held_out": Played(*wins), "every": 1, "patience": 3})
    assert (run.step, run.told.stopped, run.watch.best.step) == (8, "early stop", 5)
    assert [step for step, _ in run.folder.saved()] == [8]
    assert is_patience_over(run.folder.checkpoint(8), 3)  # so that it does not go on where it was killed then
    assert not is_patience_over(run.folder.checkpoint(8), 4)
    assert not is_patience_over(run.folder.checkpoint(8), 0)
    ever = Run(tmp_path / "ever", 9, evaluate={"held_out": Played(*wins), "every": 1})
    assert (ever.step, ever.told.stopped, ever.watch.best.step) == (9, "", 9)


def test_equal_success_is_decided_by_the_return_and_then_for_the_earlier(tmp_path):
    wins = [0, (9, 0.1), (9, 0.3), (9, 0.3), (8, 0.9)]
    run = Run(tmp_path / "run", 4, evaluate={"held_out": Played(*wins), "every": 1})
    assert (run.watch.best.step, run.watch.waited) == (2, 3)
    assert json.loads((run.folder.best / "best.json").read_bytes())["mean_return"] == 0.3


@pytest.mark.parametrize("cut", [2, 5])
def test_a_resumed_training_decides_as_it_would_have(tmp_path, cut):
    """The wait for a better success goes on where it was, and the model of before the cut may stay the best."""
    wins = [0, 5, 9, 9, 8, 9, 9, 16]
    whole = Run(tmp_path / "whole", 7, evaluate={"held_out": Played(*wins), "every": 1, "patience": 4})
    resumable = {"every": 1, "patience": 4}
    first = Run(
        tmp_path / "parts",
        7,
        callbacks=[lambda event: event.step == cut],
        evaluate={"held_out": Played(*wins), **resumable},
    )
    second = Run(tmp_path / "parts", 7, cut, evaluate={"held_out": Played(*wins[cut + 1 :]), **resumable})
    assert (first.step, whole.step, second.step) == (cut, 6, 6)
    assert whole.told.stopped == second.told.stopped == "early stop"
    assert whole.watch.state() == second.watch.state()
    assert whole.watch.best == second.watch.best
    assert whole.watch.best.step == 2
    assert equal(whole.parameters(), second.parameters())
    assert whole.lines() == second.lines()
    assert (whole.folder.best / "best.json").read_bytes() == (second.folder.best / "best.json").read_bytes()


def test_the_best_model_is_the_one_in_the_folder_whatever_step_is_resumed_from(tmp_path):
    def until(step, resume, *wins):
        stop = [lambda event: event.step == step]
        return Run(tmp_path / "run", 9, resume, stop, {"held_out": Played(*wins), "every": 2})

    until(2, None, 0, 5)
    until(5, 2, 12)
    again = until(3, 2)
    assert (again.step, again.watch.best.step, again.watch.waited) == (3, 4, 0)
    until(4, 3, 12)
    assert json.loads((again.folder.best / "best.json").read_bytes())["step"] == 4


def test_a_share_of_other_scenes_is_compared_as_a_share(tmp_path):
    """A resumed run may be told to measure on more scenes: 12 of 64 are worse than 8 of 16, and 40 of 64 better."""
    stop = [lambda event: event.step == 2]
    Run(tmp_path / "run", 6, None, stop, {"held_out": Played(0, 8, 8), "every": 1})
    again = Run(tmp_path / "run", 6, 2, (), {"held_out": Played(12, 24, 40, 12, count=64), "every": 1})
    assert (again.watch.best.step, again.watch.waited) == (5, 1)
    kept = json.loads((again.folder.best / "best.json").read_bytes())
    assert (kept["step"], kept["successes"], kept["scenes"]) == (5, 40, 64)


@pytest.fixture
def child():
    """This file as a program, which leaves nothing running behind."""
    started = []

    def start(*arguments, launcher=()):
        process = subprocess.Popen(
            [sys.executable, *launcher, __file__, *map(str, arguments)],
            stderr=subprocess.PIPE,
            env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        try:
            process.wait(timeout=45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stderr.close()


def until(process, path, lines):
    """Wait until a run has told so many lines."""
    for _ in range(1800):
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    raise AssertionError(f"{path} does not come to {lines} lines")


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path, child, asked):
    process = child("slow", tmp_path / "parts")
    until(process, tmp_path / "parts" / "metrics.jsonl", 4)
    process.send_signal(asked)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    ((step, _),) = Folder(tmp_path / "parts").saved()
    assert 3 <= step < 30
    assert json.loads((tmp_path / "parts" / "ended.json").read_text()) == [step, "interrupted"]
    one = Run(tmp_path / "whole", 30, evaluate={"held_out": scenes(), "every": 4})
    two = Run(tmp_path / "parts", 30, step, evaluate={"held_out": scenes(), "every": 4})
    assert equal(one.parameters(), two.parameters())
    assert one.lines() == two.lines()
    assert (one.watch.best, one.watch.waited) == (two.watch.best, two.watch.waited)


def test_a_second_interruption_ends_it_at_once(tmp_path, child):
    process = child("stuck", tmp_path / "run")
    until(process, tmp_path / "run" / "metrics.jsonl", 2)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0


def test_processes_that_train_together_end_together_and_the_first_one_writes(tmp_path, child):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    process = child("together", tmp_path / "run", launcher=launcher)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    one, two = (json.loads((tmp_path / f"run-{number}.json").read_text()) for number in (0, 1))
    assert one == two
    assert one[:2] == [3, "callback"]
    folder = Folder(tmp_path / "run")
    assert [line["step"] for line in folder.metrics()] == [0, 1, 2, 3]
    assert [step for step, _ in folder.saved()] == [3]
    assert (folder.best / "best.json").exists()


def test_what_is_no_number_is_not_told():
    logs = {"loss": 0.5, "reward": math.nan, "std": None, "lr": np.float32(0.25), "n": 3, "why": "x", "far": math.inf}
    assert numbers(logs) == {"loss": 0.5, "lr": 0.25, "n": 3.0}


def test_what_trl_counts_anew_after_an_interruption_is_not_told():
    assert numbers({"loss": 0.5, "num_tokens": 7}) == {"loss": 0.5}


def main(what, path):
    """What the tests above run in other processes."""
    if what == "together":
        # Only the second process is asked to end.
        run = Run(
            path,
            9,
            callbacks=[lambda event: rank() == 1 and event.step == 3],
            evaluate={"held_out": scenes() if rank() == 0 else Played(), "every": 1},
        )
        total = sum(float(weight.double().sum()) for weight in run.parameters())
        ended = [run.step, run.told.stopped, str(run.watch.best), run.watch.waited, total]
        Path(f"{path}-{rank()}.json").write_text(json.dumps(ended))
        return
    pause = {"slow": 0.2, "stuck": 60}[what]
    run = Run(
        path,
        30,
        callbacks=[lambda event: time.sleep(pause)],
        evaluate={"held_out": scenes(), "every": 4},
    )
    (run.folder.path / "ended.json").write_text(json.dumps([run.step, run.told.stopped]))


if __name__ == "__main__":
    main(*sys.argv[1:])
