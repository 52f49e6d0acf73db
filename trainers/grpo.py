"""Group-relative policy optimisation over whole conversations, and its relatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from itertools import groupby
from statistics import fmean, pstdev
from typing import Any, ClassVar

from ..envs.conversation import Snapshot
from ..envs.errors import BadArgument
from ..policies.local import Loaded
from . import through_trl
from .configs import REFERENCE, GRPOConfig
from .episode import Episode, Stage, Start
from .held_out import training_scenes
from .language import LanguageTrainer
from .tested import Spent
from .vllm_sampler import VLLMSampler
from .vllm_sampler import check as check_vllm
from .watch import told_by_all

SPREAD = 1e-4
"""What is added to a spread that is divided by, as TRL does."""


class Rollouts:
    """Holds the conversations of an update: what TRL calls with the scenes that it deals."""

    def __init__(self, stage: Stage, config: GRPOConfig, by_turn: bool = False) -> None:
        self._stage, self._config, self._by_turn = stage, config, by_turn
        self.credited: list[list[float]] | None = None
        """An advantage for each token of the completions, where turns are credited."""
        self.alike: list[bool] = []
        """Of each conversation, whether all of its group were paid alike."""
        self._before = 0, 0
        """The actions and the sampled tokens of the conversations that those of this update part from."""

    def __call__(self, scenes: Sequence[str], trainer: Any) -> dict[str, Any]:
        first = trainer.accelerator.process_index * len(scenes)
        seeds = [self._seed(trainer.state.global_step, first + row) for row in range(len(scenes))]
        if self._config.vllm != "off":
            self._stage.sampler = partial(VLLMSampler, trainer.vllm_generation)
        self._stage.renew()
        with trainer.accelerator.autocast():
            starts = self._branched(scenes, seeds) if self._by_turn else self._openings(scenes, seeds)
            episodes = self._stage.play(starts)
        group = self._config.group
        groups = [episodes[start : start + group] for start in range(0, len(episodes), group)]
        self.alike = [len({each.total for each in some}) == 1 for some in groups for _ in some]
        if self._by_turn:
            self.credited = credit(episodes, group)
        told = through_trl.columns(episodes)
        actions, tokens = (count / len(episodes) for count in self._before)
        held_actions, held_tokens = (
            [each + more for each in told[name]] for name, more in (("turns", actions), ("sampled_tokens", tokens))
        )
        return {**told, "held_actions": held_actions, "held_tokens": held_tokens}

    def _seed(self, step: int, row: int) -> int:
        """What a conversation's sampling is left to: the same in an interrupted run as in one that was not."""
        text = f"{self._config.seed}|{step}|{row}".encode()
        return int.from_bytes(blake2b(text, digest_size=6).digest())

    def _openings(self, scenes: Sequence[str], seeds: Sequence[int]) -> list[Start]:
        """Each group starts from one snapshot of its scene."""
        starts: list[Start] = []
        for scene, group in groupby(zip(scenes, seeds, strict=True), key=lambda row: row[0]):
            opening = self._stage.opening(scene)
            starts += [Start(opening, seed) for _, seed in group]
        return starts

    def _branched(self, scenes: Sequence[str], seeds: Sequence[int]) -> list[Start]:
        """Each group starts from one snapshot in the midst of a conversation of its scene, which is held first."""
        group, first = self._config.group, len(scenes)
        trunks = [
            Start(self._stage.opening(scene), seed ^ TRUNK)
            for scene, seed in zip(scenes[::group], seeds[::group], strict=True)
        ]
        kept: list[list[Snapshot]] = [[] for _ in trunks]
        conversations = self._stage.play(trunks, kept, first)
        self._before = (
            sum(len(held.rewards) for held in conversations),
            sum(sum(held.sampled) for held in conversations),
        )
        starts: list[Start] = []
        for number, (trunk, snapshots, held) in enumerate(zip(trunks, kept, conversations, strict=True)):
            # A last turn in which it outgrew the model is no turn to part from.
            snapshot = snapshots[trunk.seed % max(1, len(held.rewards))]
            own = seeds[number * group : (number + 1) * group]
            starts += [Start(snapshot, seed, first + number) for seed in own]
        return starts


TRUNK = 0xA5A5A5
"""What tells the seed of a conversation that others part from from theirs."""


def credit(episodes: Sequence[Episode], group: int) -> list[list[float]]:
    """For each token of each completion, how much better its turn went than that turn of the others in its group.

    What a turn is worth is the return from it on. All is divided by the spread of these differences in the update, be
    they of this process or of another.
    """
    found: list[list[float]] = []
    for start in range(0, len(episodes), group):
        returns = [episode.to_go for episode in episodes[start : start + group]]
        deepest = max(map(len, returns))
        means = [fmean(each[turn] for each in returns if turn < len(each)) for turn in range(deepest)]
        found += [[worth - mean for worth, mean in zip(each, means, strict=False)] for each in returns]
    spread = pstdev([each for own in told_by_all(found) for turns in own for each in turns]) + SPREAD
    return [
        [turns[turn] / spread if turn < len(turns) else 0.0 for turn in episode.turns]
        for episode, turns in zip(episodes, found, strict=True)
    ]


class GRPO(LanguageTrainer[GRPOConfig]):
    """GRPO: advantages by group and its spread, ratios by token, losses by conversation."""

    config_class = GRPOConfig
    objective: ClassVar[Mapping[str, Any]] = {"loss_type": "grpo", "scale_rewards": "group"}
    by_turn: ClassVar[bool] = False

    @property
    def together(self) -> int:
        """A group is never parted."""
        return self.config.group

    def check(self) -> None:
        """Raise what can be known to go wrong before anything is trained."""
        config = self.config
        if config.model in ("", REFERENCE):
            raise BadArgument(
                "model='reference' is a model that has learnt nothing yet, and never earns a reward: train it with "
                "'sft' first, and give the folder of that run's final/ model."
            )
        super().check()
        check_vllm(config)

    def adapter(self, loaded: Loaded) -> Any:
        """TRL's GRPO over our conversations."""
        config = self.config
        dealt = self.dealt(config.group)
        each = dealt.micro * dealt.passes
        trunks = each // config.group if self.by_turn else 0
        stage = Stage(
            self.env_id,
            self.arguments,
            loaded,
            each + trunks,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            constrained=config.constrained,
        )
        updates = -(-config.steps // config.iterations)
        count = updates * config.batch // config.group
        scenes = training_scenes(self.env_id, self.arguments, config.seed, count, self.reserved)
        rollouts = Rollouts(stage, config, self.by_turn)
        return through_trl.grpo(config, self.objective, self.folder.checkpoints, dealt, loaded, scenes, rollouts)

    def spent(self, steps: int) -> Spent:
        """The conversations that were held, also those that others parted from; what they took is in the metrics."""
        config = self.config
        count = -(-steps // config.iterations) * config.batch
        told = [(line["held_actions"], line["held_tokens"]) for line in self.folder.metrics() if "held_tokens" in line]
        trunks = count // config.group if self.by_turn else 0
        actions, tokens = (round(count * fmean(each)) for each in zip(*told, strict=True)) if told else (0, 0)
        return Spent(count + trunks, actions, tokens)


class GSPO(GRPO):
    """GSPO: ratios and their clipping by conversation."""

    objective = {"loss_type": "grpo", "scale_rewards": "group", "importance_sampling_level": "sequence"}


class DrGRPO(GRPO):
    """Dr. GRPO: no division by the spread of a group, nor by the length of a conversation."""

    objective = {"loss_type": "dr_grpo", "scale_rewards": "none"}


class DAPO(GRPO):
    """DAPO's loss over all tokens of the batch; its wider clip is `clip_ratio=(0.2, 0.28)`. No group is drawn anew."""

    objective = {"loss_type": "dapo", "scale_rewards": "group"}


class RLOO(GRPO):
    """RLOO as GRPO without scaling of rewards: TRL's own RLOO has no conversations.

    The mean of a group with its own member in it is the leave-one-out baseline times (group - 1) / group: the same
    direction, a little shorter.
    """

    objective = {"loss_type": "dapo", "scale_rewards": "none"}


class TurnGRPO(GRPO):
    """GRPO with credit by turn: the return from each turn on, against branches of one snapshot.

    A conversation is held, a turn of it drawn, and the group parts from there: what the baseline compares are answers
    to one and the same transcript.
    """

    objective = {"loss_type": "dapo", "scale_rewards": "none"}
    by_turn = True
