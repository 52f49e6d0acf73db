"""TRL's trainers take what is exported, and train on the agent's words alone."""

from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

import stateset_gym  # noqa: F401
from stateset_gym.policies import runs
from stateset_gym.policies.export import export
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.trace import Trace

TEMPLATE = """
{%- for message in messages %}<{{ message.role }}>
{%- if message.role == 'assistant' %}{% generation %}{{ message.content }}<|end|>{% endgeneration %}
{%- else %}{{ message.content }}<|end|>{% endif %}{% endfor %}
{%- if add_generation_prompt %}<assistant>{% endif %}"""

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Bytes as tokens, and a chat template that marks what the assistant says."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet, special = pre_tokenizers.ByteLevel.alphabet(), ["<|end|>", "<|pad|>"]
    bare.train_from_iterator(["a"], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    found = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<|end|>", pad_token="<|pad|>")
    found.chat_template = TEMPLATE
    return found


def model(tokenizer: Any) -> Any:
    torch.manual_seed(0)
    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), num_key_value_heads=1, **size))


@pytest.fixture(scope="module")
def played() -> list[Trace]:
    """A good and a bad conversation of a scene."""
    job = Job("CustomerService-v0/train/easy/000005")
    setting = [runs.Setting("StateSet/CustomerService-v0", name, {"prompt": "none"}) for name in ("expert", "liar")]
    return [trace for each in setting for trace in runs.serial(each, [job])]


def options(folder: Path) -> dict[str, Any]:
    plain = {"report_to": [], "use_cpu": True, "bf16": False, "max_length": 8000, "save_strategy": "no", "max_steps": 1}
    return {"output_dir": str(folder), "per_device_train_batch_size": 1, "disable_tqdm": True, **plain}


def loaded(played: list[Trace], to: Any, folder: Path) -> Any:
    path = export(played, to, folder / f"{to}.jsonl").path
    return datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))


@pytest.mark.parametrize("to", ["sft", "sft-turns"])
def test_sft_trains_on_what_the_agent_says(played: list[Trace], tokenizer: Any, tmp_path: Path, to: Any) -> None:
    arguments = SFTConfig(**options(tmp_path), assistant_only_loss=to == "sft")
    data = loaded(played[:1], to, tmp_path)
    trainer = SFTTrainer(model(tokenizer), args=arguments, train_dataset=data, processing_class=tokenizer)
    found = []
    for batch in trainer.get_train_dataloader():
        labels = batch["labels"][0]
        found += tokenizer.decode(labels[labels != -100]).split("<|end|>")[:-1]
    said = [message["content"] for message in played[0].messages if message["role"] == "assistant"]
    assert sorted(found) == sorted(said)
    trainer.train()


def test_dpo_compares_two_answers(played: list[Trace], tokenizer: Any, tmp_path: Path) -> None:
    data = loaded(played, "dpo", tmp_path)
    arguments = DPOConfig(**options(tmp_path))
    trainer = DPOTrainer(
        model(tokenizer), ref_model=model(tokenizer), args=arguments, train_dataset=data, processing_class=tokenizer
    )
    (batch,) = trainer.get_train_dataloader()
    masks = batch["completion_mask"].bool()
    chosen, rejected = (tokenizer.decode(ids[mask]) for ids, mask in zip(batch["input_ids"], masks, strict=True))
    assert chosen == played[0].messages[1]["content"] + "<|end|>"
    assert rejected == played[1].messages[1]["content"] + "<|end|>"
    trainer.train()
