"""Our trainers as thin adapters over TRL's; no other room knows it."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from datasets import Dataset
from peft import LoraConfig
from torch import Tensor
from transformers import Trainer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput

from ..envs.errors import BadArgument
from ..policies.local import Loaded
from .branches import Pair
from .configs import Dealt, LanguageConfig
from .configs import DPOConfig as PreferenceSettings
from .configs import GRPOConfig as Settings
from .demonstrations import Demonstration
from .episode import Episode
from .folder import UNFINISHED
from .optimizer import muon
from .pairs import Pairs
from .scoring import chunks, lighten


def common(config: LanguageConfig, folder: Path, dealt: Dealt) -> dict[str, Any]:
    """What TRL's trainers are all told."""
    cpu = not torch.accelerator.is_available()
    return {
        "output_dir": str(folder),
        "max_steps": config.steps,
        "per_device_train_batch_size": dealt.micro,
        "gradient_accumulation_steps": dealt.passes,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": SCHEDULES[config.schedule],
        "warmup_steps": round(config.warmup * config.steps),
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.clip,
        "adam_beta2": 0.95,
        "logging_steps": config.log_every,
        "save_strategy": "steps" if config.checkpoint_every else "no",
        "save_steps": config.checkpoint_every or config.steps,
        "save_total_limit": 2,
        "report_to": list(config.report_to) or "none",
        "seed": config.seed,
        "use_cpu": cpu,
        "bf16": config.dtype == "bfloat16",
        "activation_checkpointing": False,
        "dataloader_pin_memory": not cpu,
        "disable_tqdm": True,
        "ddp_backend": "gloo" if cpu and "WORLD_SIZE" in os.environ else None,
        "ddp_find_unused_parameters": False,
        "ddp_broadcast_buffers": False,  # processes make different numbers of passes
    }


def adapters(config: LanguageConfig) -> LoraConfig | None:
    """The matrices that are trained in place of a model's own, where they are."""
    if not config.lora:
        return None
    return LoraConfig(r=config.lora, lora_alpha=2 * config.lora, target_modules="all-linear", task_type="CAUSAL_LM")


SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def sft(
    config: LanguageConfig,
    folder: Path,
    dealt: Dealt,
    loaded: Loaded,
    demonstrations: Sequence[Demonstration],
) -> SFTTrainer:
    """Supervised learning from demonstrations, in the order in which they are given."""
    rows = {"input_ids": [each.ids for each in demonstrations], "labels": [each.labels for each in demonstrations]}
    arguments = SFTConfig(
        **common(config, folder, dealt),
        dataset_kwargs={"skip_prepare_dataset": True},
        train_sampling_strategy="sequential",
        max_length=None,
    )
    with silenced():
        trainer = Demonstrations(
            loaded.model,
            arguments,
            train_dataset=Dataset.from_dict(rows),
            processing_class=loaded.tokenizer,
            peft_config=adapters(config),
        )
    trainer.optimizing = config
    lighten(trainer.accelerator.unwrap_model(trainer.model), FusedCausalLMOutput)
    return trainer


def grpo(
    config: Settings,
    objective: Mapping[str, Any],
    folder: Path,
    dealt: Dealt,
    loaded: Loaded,
    scenes: Sequence[str],
    rollouts: Any,
) -> Conversations:
    """Group-relative policy optimisation over whole conversations."""
    engine: dict[str, Any] = {} if config.vllm == "off" else {"use_vllm": True, "vllm_mode": config.vllm}
    arguments = GRPOConfig(
        **common(config, folder, dealt),
        **objective,
        num_generations=config.group,
        steps_per_generation=dealt.passes,
        num_iterations=config.iterations,
        max_completion_length=config.max_new_tokens,
        temperature=config.temperature,
        beta=config.beta,
        epsilon=config.clip_ratio[0],
        epsilon_high=config.clip_ratio[1],
        shuffle_dataset=False,
        disable_dropout=True,  # the ratios are to what was sampled, which was without
        **engine,
    )
    with silenced():
        trainer = Conversations(
            loaded.model,
            told,
            arguments,
            train_dataset=Dataset.from_dict({"prompt": list(scenes)}),
            processing_class=loaded.tokenizer,
            rollout_func=rollouts,
            peft_config=adapters(config),
        )
    trainer.optimizing = config
    for model in filter(None, (trainer.model, trainer.ref_model)):
        lighten(trainer.accelerator.unwrap_model(model), FusedCausalLMOutput, config.temperature)
    return trainer


def dpo(
    config: PreferenceSettings,
    folder: Path,
    dealt: Dealt,
    loaded: Loaded,
    pairs: Pairs,
) -> Preferences:
    """Preference learning from pairs of ids."""
    arguments = DPOConfig(
        **common(config, folder, dealt),
        beta=config.beta,
        max_length=None,
        precompute_ref_log_probs=True,
        remove_unused_columns=False,
        train_sampling_strategy="sequential",
    )
    with silenced():
        trainer = Preferences(config, loaded, arguments, pairs)
    lighten(trainer.accelerator.unwrap_model(trainer.model), FusedCausalLMOutput)
    return trainer


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Without the word that `rollout_func` may change, and what Transformers and torch say of each other's calls."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        yield


def told(log_metric: Any, total: Sequence[float], **columns: Any) -> list[float | None]:
    """The returns of the conversations, as TRL asks for them; what is told of them beside goes into the metrics."""
    for name in TOLD:
        log_metric(name, sum(columns[name]) / len(total))
    return list(total)


TOLD = ("success", "malformed", "refused", "turns", "sampled_tokens", "held_actions", "held_tokens", "cut")


def columns(episodes: Sequence[Episode]) -> dict[str, list[Any]]:
    """Conversations as TRL takes them from a `rollout_func`."""
    for episode in episodes:
        # TRL pads a shorter mask with ones, and would train on what the customer said.
        sizes = {len(each) for each in (episode.completion_ids, episode.sampled, episode.logprobs, episode.turns)}
        if sizes != {len(episode.completion_ids)} or sizes == {0}:
            raise AssertionError(f"{episode.scene}: the ids, their mask and what else is told of them are {sizes} long")
    return {
        "prompt_ids": [each.prompt_ids for each in episodes],
        "completion_ids": [each.completion_ids for each in episodes],
        "logprobs": [each.logprobs for each in episodes],
        "env_mask": [[int(one) for one in each.sampled] for each in episodes],
        "total": [each.total for each in episodes],
        "success": [float(each.success) for each in episodes],
        "malformed": [float(each.malformed) for each in episodes],
        "refused": [float(each.refused) for each in episodes],
        "turns": [float(len(each.rewards)) for each in episodes],
        "sampled_tokens": [float(sum(each.sampled)) for each in episodes],
        "cut": [float(each.cut) for each in episodes],
    }


class Optimised(Trainer):
    """A trainer with the optimiser that was asked for."""

    optimizing: LanguageConfig

    def create_optimizer(self, model: Any = None) -> Any:
        """TRL's own, or Muon."""
        config = self.optimizing
        if self.optimizer is None and config.optimizer == "muon":
            self.optimizer = muon(self.model if model is None else model, config.learning_rate, config.weight_decay)
        return super().create_optimizer(model)

    def create_model_card(self, *given: Any, **named: Any) -> None:
        """No card for a checkpoint, which nobody publishes: it would take as long as all the rest."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """With a mark as long as it is not whole: whoever is killed meanwhile resumes from the one before."""
        checkpoint = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        checkpoint.mkdir(parents=True, exist_ok=True)
        if self.args.should_save:
            (checkpoint / UNFINISHED).touch()
        self._save_more(checkpoint)
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            (checkpoint / UNFINISHED).unlink()

    def _save_more(self, checkpoint: Path) -> None:
        """What else is needed to resume."""


class Demonstrations(Optimised, SFTTrainer):
    """TRL's SFT."""


class Conversations(Optimised, GRPOTrainer):
    """TRL's GRPO, with an advantage for each token where turns are credited, and little computed on padding."""

    _counted: Tensor | None = None
    """Where the completions' tokens are the agent's, while a loss is computed."""
    _moving: Tensor | None = None
    """Which conversations move the model, while a loss is computed: not those that all of their group did as well."""

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        with silenced():
            output = super()._generate_and_score_completions(inputs)
        rollouts: Any = self.rollout_func
        device = output["advantages"].device
        if rollouts.credited is None:
            # TRL's mean of equal returns is at times not quite that return.
            output["advantages"][torch.tensor(rollouts.alike, device=device)] = 0
        else:
            width = output["completion_ids"].shape[1]
            rows = [[*row, *[0.0] * (width - len(row))] for row in rollouts.credited]
            output["advantages"] = torch.tensor(rows, device=device)
        return output

    def _save_more(self, checkpoint: Path) -> None:
        """The conversations that further updates are still to be made with."""
        torch.save({"inputs": self._buffered_inputs, "step": self._step}, self._kept(checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            file = self._kept(Path(checkpoint))
            if not file.is_file():
                raise BadArgument(f"There is no {file}: resume with as many processes as the run was begun with.")
            kept = torch.load(file, map_location=self.accelerator.device)
            self._buffered_inputs, self._step = kept["inputs"], kept["step"]

    def _kept(self, checkpoint: Path) -> Path:
        """Each process has conversations of its own."""
        return checkpoint / f"conversations_{self.args.process_index}.pt"

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        self._counted = inputs["completion_mask"] * inputs["tool_mask"]
        if not self.beta:
            self._moving = inputs["advantages"].reshape(len(self._counted), -1).any(1)
            if not self._moving.any():  # some graph there must be
                self._moving[inputs["completion_mask"].sum(1).argmin()] = True
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._counted = self._moving = None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **others: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """What TRL computes, with rows of about one length in a pass, each from its first position on.

        Positions then are what they were when the tokens were sampled, also for models that learn them.
        """
        wanted = attention_mask.bool()
        labelled = wanted.clone()
        labelled[:, :-logits_to_keep] = False
        if self._counted is not None:
            labelled[:, -logits_to_keep:] &= self._counted.bool()
        lengths = wanted.sum(1)
        found = (
            input_ids.new_zeros(input_ids.shape, dtype=torch.float32),
            input_ids.new_zeros(input_ids.shape, dtype=torch.float32),
        )
        for rows, moving in self._passes(lengths):
            width = int(lengths[rows].max())
            columns = torch.arange(width, device=input_ids.device) < lengths[rows][:, None]
            own = wanted[rows]
            ids = input_ids.new_full((len(rows), width), self._tokenizer.pad_token_id)
            labels = torch.full_like(ids, -100)
            ids[columns] = input_ids[rows][own]
            labels[columns] = input_ids[rows].masked_fill(~labelled[rows], -100)[own]
            with self.accelerator.autocast(), torch.set_grad_enabled(moving and torch.is_grad_enabled()):
                outputs = model(input_ids=ids, attention_mask=columns.long(), labels=labels, fused_lm_head=True)
            for whole, part in zip(found, (outputs.log_probs, outputs.entropy), strict=True):
                if part is None:
                    continue  # TRL's head of the model that divergence is measured from gives no entropy
                shifted = torch.nn.functional.pad(part.float(), (1, 0))  # of its own token, not of the next
                spread = torch.zeros_like(own, dtype=torch.float32).masked_scatter(own, shifted[columns])
                whole[rows] = spread
        logps, entropies = (whole[:, -logits_to_keep:] for whole in found)
        return logps, entropies if compute_entropy else None, None

    def _passes(self, lengths: Tensor) -> Iterator[tuple[list[int], bool]]:
        """The rows of each pass, and whether a gradient is wanted of it: without, it costs a third."""
        moving = torch.ones_like(lengths, dtype=torch.bool) if self._moving is None else self._moving
        for wanted in (True, False):
            rows = (moving == wanted).nonzero()[:, 0].tolist()
            for chunk in chunks([int(lengths[row]) for row in rows]) if rows else ():
                yield [rows[place] for place in chunk], wanted


class Preferences(Optimised, DPOTrainer):
    """TRL's DPO, with pairs of ids that are made while it trains: what it is dealt are their numbers."""

    def __init__(self, config: PreferenceSettings, loaded: Loaded, arguments: DPOConfig, pairs: Pairs) -> None:
        super().__init__(
            loaded.model,
            None,
            arguments,
            data_collator=list,  # type: ignore[arg-type]  # numbers, until they are asked for
            train_dataset=Dataset.from_dict({"row": list(range(config.steps * config.batch))}),
            processing_class=loaded.tokenizer,
            peft_config=adapters(config),
        )
        self.optimizing = config
        self._pairs, self._padded = pairs, DataCollatorForPreference(loaded.tokenizer.pad_token_id)

    def _prepare_dataset(self, dataset: Dataset, *others: Any) -> Dataset:
        return dataset  # TRL would tokenise

    def _precompute_ref_logps(self, dataset: Dataset, *others: Any) -> Dataset:
        return dataset  # they come with the pairs

    def _prepare_inputs(self, inputs: Any) -> Any:
        pairs = self._pairs.of([each["row"] for each in inputs], self._scored)
        return super()._prepare_inputs(self._padded([msgspec.structs.asdict(pair) for pair in pairs]))

    @torch.no_grad()
    def _scored(self, pairs: Sequence[Pair]) -> None:
        """Give pairs the log-probabilities that the model gives their answers now."""
        model = self.accelerator.unwrap_model(self.model)
        lengths = [2 * len(pair.prompt_ids + max(pair.chosen_ids, pair.rejected_ids, key=len)) for pair in pairs]
        for rows in chunks(lengths) if pairs else ():
            some = [pairs[row] for row in rows]
            given = super()._prepare_inputs(self._padded([msgspec.structs.asdict(pair) for pair in some]))
            ids, mask = given["input_ids"], given["attention_mask"]
            labels = ids.masked_fill(given["completion_mask"] == 0, -100)
            with self.accelerator.autocast():
                found = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True).log_probs
            for pair, chosen, rejected in zip(some, *found.sum(1).chunk(2), strict=True):
                pair.ref_chosen_logps, pair.ref_rejected_logps = chosen.item(), rejected.item()
