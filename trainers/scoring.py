"""Log-probabilities of what counts, at little cost: rows of about one length in a pass, and labels alone scored."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..policies.local.load import unwrapped

WIDE = 2048 if not torch.accelerator.is_available() else 16384
"""The most tokens of one pass, unless one conversation alone has more: on a processor, what its cache holds."""


def chunks(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The numbers of rows that go into one pass: about one length, and not too much together."""
    chunk: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if chunk and lengths[row] * (len(chunk) + 1) > WIDE:
            yield chunk
            chunk = []
        chunk.append(row)
    yield chunk


def lighten(model: Any, output: Callable[..., Any], temperature: float = 1.0) -> None:
    """Score only the positions that have a label: where there is no Triton, TRL's head scores all of them.

    `output` is the class of what TRL's head gives.
    """
    base = unwrapped(model)
    config = base.config.get_text_config()
    odd = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
    if base.device.type != "cpu" or any(getattr(config, name, None) is not None for name in odd):
        return
    whole = base.forward

    @functools.wraps(type(base).forward)  # its signature is asked for
    def forward(self: Any, *args: Any, fused_lm_head: bool = False, labels: Tensor | None = None, **more: Any) -> Any:
        if not fused_lm_head or labels is None:
            return whole(*args, **more | ({} if labels is None else {"labels": labels}))
        more["use_cache"] = False
        hidden = self.base_model(*args, **more).last_hidden_state[:, :-1]
        labels = labels[:, 1:]
        mask = labels != -100
        logits = self.get_output_embeddings()(hidden[mask]).float() / temperature
        scores = logits.log_softmax(-1)
        of_label = scores.gather(-1, labels[mask][:, None])[:, 0]
        entropy = -(scores.exp() * scores).sum(-1).detach()
        top = scores.argmax(-1) == labels[mask]
        found = of_label, entropy, top, logits.mean(-1).detach()
        spread = [one.new_zeros(mask.shape).masked_scatter(mask, one) for one in found]
        return output(
            loss=-of_label.sum() / mask.sum().clamp(min=1),
            log_probs=spread[0],
            entropy=spread[1],
            is_top1=spread[2],
            mean_logits=spread[3],
            label_mask=mask,
        )

    base.forward = types.MethodType(forward, base)
