"""A model and its tokenizer, from a folder of this machine; nothing is ever downloaded."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from transformers.utils import logging

from ...envs.errors import BadArgument

LAYERS = ("full_attention", "sliding_attention")
"""The kinds of layers that keep keys and values by position, which is what can be kept across turns."""


class Loaded(NamedTuple):
    """A model in memory and its tokenizer."""

    model: Any
    tokenizer: Any


def load(path: str | os.PathLike[str], device: str, dtype: str) -> Loaded:
    """The causal language model of a folder, in the form that `save_pretrained` writes."""
    folder = existing(path)
    place = _device(device)
    return Loaded(_model(folder, place, _dtype(dtype, place)), _tokenizer(folder))


def existing(path: str | os.PathLike[str]) -> Path:
    """The folder of a model; an error where there is none."""
    folder = Path(path).expanduser()
    if not (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        what = "has no config.json" if folder.is_dir() else "is no folder on this machine"
        raise BadArgument(
            f"hf:{path}: {folder} {what}. Name a folder that holds a model and its tokenizer, as save_pretrained() "
            "writes it; nothing is downloaded here ('hf download NAME --local-dir FOLDER' fetches one)."
        )
    return folder


def _tokenizer(folder: Path) -> Any:
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise BadArgument(
            f"hf:{folder}: the folder has no tokenizer: save it beside the model with tokenizer.save_pretrained(...)."
        )
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise BadArgument(
            f"hf:{folder}: the tokenizer cannot be read ({_line(error)}): "
            "save it beside the model again with tokenizer.save_pretrained(...)."
        ) from error


TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt", "tekken.json")
"""The files of which a tokenizer leaves at least one."""


def _model(folder: Path, device: torch.device, dtype: str | torch.dtype) -> Any:
    try:
        with silent():
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise BadArgument(
            f"hf:{folder}: the model cannot be read ({_line(error)}): "
            "save a causal language model there with model.save_pretrained(...)."
        ) from error
    return model.to(device).eval()


def unwrapped(model: Any) -> Any:
    """A model without what peft wraps around it: the matrices that it adds are within, and stay."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def windows(model: Any) -> dict[str, int | None]:
    """The kinds of layers that a model has, and how far back each one looks; `None` is all the way."""
    config = model.config.get_text_config(decoder=True)
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention" if window else "full_attention"]
    odd = sorted({*kinds} - {*LAYERS})
    if odd or "position_ids" not in inspect.signature(model.forward).parameters:
        what = f"layers of the kind {', '.join(odd)}" if odd else "no explicit positions"
        raise BadArgument(
            f"{type(model).__name__} has {what}, and conversations are kept as keys and values by position: "
            "choose a decoder with full or sliding attention (Llama, Qwen, Gemma, Mistral, GPT-2, ...)."
        )
    return {kind: window if kind == "sliding_attention" else None for kind in kinds}


def context(model: Any) -> int | None:
    """How many tokens a model can look at, where its configuration says so."""
    found = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return None if found is None else int(found)


def _device(name: str) -> torch.device:
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return _own(accelerator) if accelerator else torch.device("cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise BadArgument(f"device={name!r} is no device: write 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.") from None


def _own(accelerator: torch.device) -> torch.device:
    """Of several, the one of this process, as torchrun and accelerate number those of a machine."""
    number = int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device(accelerator.type, number) if 0 < number < torch.accelerator.device_count() else accelerator


def _dtype(name: str, device: torch.device) -> str | torch.dtype:
    """By default as it was saved; on a CPU, where half numbers are slow, as float32."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise BadArgument(f"dtype={name!r} is no dtype: write 'auto', 'float32', 'bfloat16' or 'float16'.")
    return found


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Without the progress bars of Transformers' own, which it shows wherever a model is saved or loaded."""
    bars: Any = logging  # its functions have no types
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def _line(error: BaseException) -> str:
    lines = str(error).split("\n")
    return lines[0] if lines[0] or len(lines) == 1 else lines[1]
