"""Hosted models against an OpenAI-compatible server that is not ours: `transformers serve`, on loopback."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

from stateset_gym import policies
from stateset_gym.policies.evaluation import evaluate

from .by_heart import train

DESK = "StateSet/CustomerService-v0"
SCENES = ["CustomerService-v0/test/easy/000000", "CustomerService-v0/test/easy/000001"]
READY = 300
"""Seconds to wait for the server: it imports torch and more, which takes long on a busy machine."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that holds the scenes as the expert does."""
    env = gymnasium.make(DESK, prompt="none")
    expert = policies.make("expert", DESK)
    return train([policies.rollout(expert, env, scene).messages for scene in SCENES], tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's base URL."""
    home = tmp_path_factory.mktemp("home")
    (home / "hub").mkdir()  # without it /v1/models fails
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = (home / "log").open("wb+")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + READY
        while not answers(f"http://127.0.0.1:{port}/health"):
            log.seek(0)
            assert process.poll() is None, log.read().decode()
            assert time.monotonic() < deadline, log.read().decode()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_it_lists_its_models(server: str) -> None:
    assert answers(f"{server}/models")


@pytest.mark.parametrize("parallel", [1, 2])
def test_the_chat_policy_plays_by_heart(server: str, model: Path, parallel: int) -> None:
    report = evaluate(
        f"openai:{model}",
        DESK,
        scenes=SCENES,
        prompt="none",
        parallel=parallel,
        options={"base_url": server, "api_key": "none", "temperature": 0.0, "style": "text"},
    )
    assert report.not_measured == []
    assert (report.success.mean, report.mean_return.mean) == (1, 1)
    assert report.tokens_in > report.tokens_out > 100


def test_a_model_that_it_does_not_have_is_not_a_wrong_answer(server: str, tmp_path: Path) -> None:
    report = evaluate(
        f"openai:{tmp_path}/nothing",
        DESK,
        scenes=SCENES,
        prompt="none",
        options={"base_url": server, "api_key": "none", "style": "text", "retries": 0},
    )
    assert report.measured == 0
    assert report.not_measured
