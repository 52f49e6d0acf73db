"""The optimiser of small models: orthogonal updates for the matrices within, Adam's for all other weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

ADAM_SHARE = 0.15
"""Adam's learning rate, as a share of that of the matrices."""


def muon(model: Any, learning_rate: float, weight_decay: float) -> Optimizer:
    """Muon for the matrices between a model's embeddings and its head, AdamW for what else is trained."""
    ends = [*model.get_input_embeddings().parameters(), *model.get_output_embeddings().parameters()]
    outer = {id(weight) for weight in ends}
    within: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for weight in model.parameters():
        if weight.requires_grad:
            (within if weight.ndim == 2 and id(weight) not in outer else others).append(weight)
    parts: list[Optimizer] = []
    if within:
        parts.append(Muon(within, lr=learning_rate, momentum=0.95, weight_decay=weight_decay))
    if others:
        rate = ADAM_SHARE * learning_rate
        parts.append(AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=weight_decay))
    return Both(*parts)


class Both(Optimizer):
    """Optimisers of different weights as one: what a scheduler and a checkpoint see is all of them."""

    def __init__(self, *parts: Optimizer) -> None:
        self._parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._join()

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Let each change its own weights."""
        for part in self._parts:
            part.step()

    def load_state_dict(self, state_dict: Any) -> None:
        """Go on from a checkpoint."""
        super().load_state_dict(state_dict)
        self._join()

    def _join(self) -> None:
        """Let the parts work on the groups and the state that are shown as this one's."""
        start = 0
        for part in self._parts:
            part.state = self.state
            part.param_groups = self.param_groups[start : start + len(part.param_groups)]
            start += len(part.param_groups)
