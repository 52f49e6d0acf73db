"""The scenes that a best model is chosen by are never trained on."""

import pytest

from stateset_gym import trainers
from stateset_gym.trainers import dpo, through_trl
from stateset_gym.trainers.held_out import validation_scenes

from .trained import saved


class Dealt(Exception):
    """What was dealt to train on."""


ECHO, POOL, COUNT = "StateSet/Echo-v0", range(999_980, 1_000_000), 12


@pytest.mark.parametrize("name", ["sft", "grpo", "dpo"])
def test_no_scene_that_is_held_out_is_trained_on(name: str, tmp_path, monkeypatch) -> None:
    """Of the twenty scenes there are to train on, the last twelve are held out."""

    def caught(*arguments, **more):
        raise Dealt(*arguments)

    config = {"steps": 8, "held_out": COUNT, "evaluate_every": 4, "tested": 0, "output": str(tmp_path / "run")}
    if name == "sft":
        monkeypatch.setattr("stateset_gym.trainers.sft.demonstrations", caught)
        config |= {"width": 32, "layers": 1}
    else:
        config |= {"model": saved(ECHO, tmp_path / "model"), "batch": 8}
        monkeypatch.setattr(*((through_trl, "grpo") if name == "grpo" else (dpo, "Pairs")), caught)
    trainer = trainers.make(name, ECHO, env={"scenes": list(POOL)}, **config)
    with pytest.raises(Dealt) as dealt:
        trainer.train()
    scenes = next(each for each in dealt.value.args if isinstance(each, tuple) and isinstance(each[0], str))
    held_out = {*validation_scenes(ECHO, {}, COUNT)}
    assert len(held_out) == COUNT
    assert len({*scenes}) >= 3
    assert not held_out & {*scenes}
