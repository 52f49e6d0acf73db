"""A trained network plays what it scores highest of what is allowed, from a file that holds nothing but arrays."""

from itertools import pairwise
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from stateset_gym import policies
from stateset_gym.envs.discrete import DiscreteView
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies.network import FILE, Layer, Network

ECHO, SHOP = "StateSet/Echo-v0", "StateSet/CustomerService-v0"


def drawn(env_id: str, seed: int = 0, *hidden: int) -> Network:
    """A network that fits an environment, its weights left to chance."""
    view = DiscreteView(gymnasium.make(env_id))
    widths = [len(view.feature_names), *hidden, len(view.action_names)]
    generator = np.random.default_rng(seed)
    return Network(
        [Layer(*(generator.normal(size=s).astype(np.float32) for s in ((i, o), (o,)))) for i, o in pairwise(widths)]
    )


def by_hand(network: Network, row: list[float]) -> list[float]:
    """The scores of a row, summed one by one."""
    for at, (weights, bias) in enumerate(network.layers):
        row = [
            sum(x * float(w) for x, w in zip(row, column, strict=True)) + float(b)
            for column, b in zip(weights.T, bias, strict=True)
        ]
        if at < len(network.layers) - 1:
            row = [float(np.tanh(each)) for each in row]
    return row


@pytest.mark.parametrize("hidden", [(), (7,), (5, 3)])
def test_the_scores_are_those_of_layers_with_tanh_between(hidden: tuple[int, ...]) -> None:
    network = drawn(ECHO, 1, *hidden)
    features = np.random.default_rng(2).random((6, len(network.layers[0].weights)), dtype=np.float32)
    expected = [by_hand(network, [float(each) for each in row]) for row in features]
    assert network.scores(features) == pytest.approx(np.array(expected), abs=1e-4)


def test_the_best_is_one_that_is_allowed() -> None:
    network = drawn(SHOP, 3, 8)
    generator = np.random.default_rng(4)
    features = generator.random((200, len(network.layers[0].weights)), dtype=np.float32)
    masks = generator.random((200, len(network.layers[-1].bias))) < 0.2
    masks[:, 0] |= ~masks.any(axis=1)
    scores, best = network.scores(features), network.best(features, masks)
    for row, mask, chosen in zip(scores, masks, best, strict=True):
        assert mask[chosen]
        assert row[chosen] == max(row[mask])


@pytest.mark.parametrize("env_id", [ECHO, SHOP, "StateSet/TicketTriage-v0"])
def test_it_plays_as_on_the_discrete_view(env_id: str, tmp_path: Path) -> None:
    network = drawn(env_id, 5, 6)
    network.save(tmp_path)
    policy, view = policies.make(f"net:{tmp_path}", env_id), DiscreteView(gymnasium.make(env_id))
    for seed in range(5):
        episode = policies.rollout(policy, gymnasium.make(env_id), seed=seed)
        features, total, ended = view.reset(seed=seed)[0], 0.0, False
        while not ended:
            (action,) = network.best(features[np.newaxis], view.action_masks()[np.newaxis])
            features, reward, terminated, truncated, _ = view.step(action)
            total, ended = total + reward, terminated or truncated
        assert episode.malformed == 0
        assert episode.total == pytest.approx(total)


def test_what_is_no_network_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=rf"There is no .*{FILE}"):
        policies.make(f"net:{tmp_path}", ECHO)
    (tmp_path / FILE).write_bytes(b"something else")
    with pytest.raises(BadArgument, match="is no network that was trained here"):
        policies.make(f"net:{tmp_path / FILE}", ECHO)
    np.savez(tmp_path / FILE, other=np.zeros(3))
    with pytest.raises(BadArgument, match="is no network that was trained here"):
        policies.make(f"net:{tmp_path / FILE}", ECHO)
    drawn(ECHO).save(tmp_path)
    with pytest.raises(BadArgument, match="give one that was trained on it"):
        policies.make(f"net:{tmp_path}", SHOP)
