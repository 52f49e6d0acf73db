"""Runs: in this process, in several, on Ray; interrupted and taken up again; and what a trace holds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stateset_gym import policies
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies import evaluation, runs, trace, tracefile
from stateset_gym.policies.replay import replay
from stateset_gym.policies.trace import Trace, read, timeless

DESK = "StateSet/CustomerService-v0"
IDS = ("StateSet/Echo-v0", DESK, "StateSet/TicketTriage-v0")


def evaluated(folder: Path, policy: Any = "random", env_id: str = DESK, name: str = "traces.jsonl", **more: Any) -> Any:
    arguments: dict[str, Any] = {"scenes": 12, "trials": 2, "difficulty": "normal"} | more
    return evaluation.evaluate(policy, env_id, traces=folder / name, **arguments)


def lines(path: Path) -> list[Trace]:
    return [timeless(each) for each in read(path)]


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("policy", ["expert", "random", "null"])
def test_a_run_in_processes_gives_the_traces_of_one_in_this(tmp_path: Path, env_id: str, policy: str) -> None:
    here = evaluated(tmp_path, policy, env_id, "here.jsonl")
    there = evaluated(tmp_path, policy, env_id, "there.jsonl", workers=2)
    assert lines(tmp_path / "here.jsonl") == lines(tmp_path / "there.jsonl")
    assert len(lines(tmp_path / "here.jsonl")) == 24
    assert here.success == there.success


def test_a_trace_is_plain_json(tmp_path: Path) -> None:
    evaluated(tmp_path, "random", scenes=3)
    for line in (tmp_path / "traces.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
        found = json.loads(line)
        assert found["env"] == DESK
        assert found["versions"] == {"stateset_gym": "0.1.0", "env": "CustomerService-v0"}
        assert found["messages"][0]["role"] == "system"
        assert len(found["messages"]) == 2 + 2 * len(found["steps"])
        assert found["total"] == pytest.approx(sum(step["reward"] for step in found["steps"]))
        assert trace.decode(line).key == (found["scene"], found["trial"])


def test_the_scenes_of_several_difficulties(tmp_path: Path) -> None:
    report = evaluated(tmp_path, "expert", difficulty=["easy", "hard"], scenes=3, trials=1)
    assert report.success.mean == 1
    assert [each.scene.split("/")[1:3] for each in lines(tmp_path / "traces.jsonl")] == [["test", "easy"]] * 3 + [
        ["test", "hard"]
    ] * 3


def test_scenes_by_number_by_name_and_of_ones_own(tmp_path: Path) -> None:
    own = {"words": ["amber"], "asks": ["say"]}
    name = "Echo-v0/train/hard/000007"
    evaluated(tmp_path, "expert", "StateSet/Echo-v0", scenes=[5, name, own], trials=1)
    first, second, third = sorted(
        lines(tmp_path / "traces.jsonl"), key=lambda each: (each.own is not None, each.scene), reverse=True
    )
    assert (first.own, second.scene, third.scene) == (own, name, "Echo-v0/test/normal/000005")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenes": 0}, "scenes=0: give a number from 1 to 9"),
        ({"scenes": []}, "leaves no scene"),
        ({"trials": 0}, "trials=0 must be a whole number from 1 up"),
        ({"workers": 1.5}, "workers=1.5 must be a whole number from 1 up"),
        ({"kinds": ["nothing"]}, "'nothing' is not known"),
        ({"resume": True, "overwrite": True}, "resume and overwrite exclude each other"),
        ({"policy": lambda o, f: "", "workers": 2}, "cannot be sent to another process .*give it by name"),
        ({"policy": lambda o, f: "", "options": {"a": 1}}, "are for a policy that is made by name"),
        ({"scenes": ["Echo-v0/test/easy/000001"]}, "belongs to another environment"),
    ],
)
def test_what_cannot_be_run_is_told(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluated(tmp_path, **({"policy": "expert"} | arguments))


def test_a_file_of_traces_is_not_lost(tmp_path: Path) -> None:
    evaluated(tmp_path, "expert")
    before = (tmp_path / "traces.jsonl").read_bytes()
    with pytest.raises(BadArgument, match=r"is there already: go on with it \(resume\), or begin it anew"):
        evaluated(tmp_path, "expert")
    with pytest.raises(BadArgument, match="line 1, is of another run: its policy is 'expert', here it is 'random'"):
        evaluated(tmp_path, "random", resume=True)
    with pytest.raises(BadArgument, match=r"its arguments is \{\}, here it is \{'max_turns': 3\}"):
        evaluated(tmp_path, "expert", resume=True, max_turns=3)
    assert (tmp_path / "traces.jsonl").read_bytes() == before
    evaluated(tmp_path, "random", overwrite=True)
    assert lines(tmp_path / "traces.jsonl")[0].policy == "random"


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_a_run_is_taken_up_where_it_was_left(tmp_path: Path, cut: int) -> None:
    whole = evaluated(tmp_path, name="whole.jsonl")
    kept = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)[:cut]
    (tmp_path / "cut.jsonl").write_bytes(b"".join(kept) + b'{"env": "StateSet/Cust')
    again = evaluated(tmp_path, name="cut.jsonl", resume=True)
    assert lines(tmp_path / "cut.jsonl") == lines(tmp_path / "whole.jsonl")
    assert (tmp_path / "cut.jsonl").read_bytes().startswith(b"".join(kept))
    assert (again.success, again.mean_return) == (whole.success, whole.mean_return)


def test_what_was_not_measured_is_played_again(tmp_path: Path) -> None:
    evaluated(tmp_path, name="whole.jsonl")
    broken = [each if n % 3 else fail(each) for n, each in enumerate(read(tmp_path / "whole.jsonl"))]
    (tmp_path / "part.jsonl").write_bytes(b"".join(map(trace.encode, broken)))
    report = evaluated(tmp_path, name="part.jsonl", resume=True)
    assert report.not_measured == []
    by_key = sorted(lines(tmp_path / "part.jsonl"), key=lambda each: each.key)
    assert by_key == sorted(lines(tmp_path / "whole.jsonl"), key=lambda each: each.key)


def fail(each: Trace) -> Trace:
    each.error, each.outcome, each.success = "the endpoint was down", "", False
    return each


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interruption_keeps_what_was_measured(tmp_path: Path, workers: str) -> None:
    """A real process, a real signal: the report tells what there is, and the run can be gone on with."""
    file = tmp_path / "traces.jsonl"
    command = [sys.executable, "-m", "stateset_gym", "evaluate", "--policy", "random", "--scenes", "200000"]
    command += ["--set", "difficulty=hard", "--workers", workers, "--traces", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (file.exists() and file.stat().st_size > 100_000) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "Interrupted" in output
    written = lines(file)
    assert len({each.key for each in written}) == len(written) > 5
    names = [each.scene for each in written]
    policies_again = evaluated(tmp_path, "random", difficulty="hard", scenes=names[:5], trials=1, name="again.jsonl")
    assert lines(tmp_path / "again.jsonl") == written[:5]
    assert policies_again.measured == 5


def test_a_policy_by_module_and_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_agents.py").write_text(
        "from stateset_gym import policies\n"
        "class Shy:\n"
        "    def __init__(self, kind, word='close'):\n        self.word = word\n"
        "    def act(self, observation, facts):\n        return {'type': self.word}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for workers in (1, 2):
        report = evaluated(tmp_path, "my_agents:Shy", workers=workers, name=f"{workers}.jsonl")
        assert report.outcomes == {"closed": 24}
    assert lines(tmp_path / "1.jsonl") == lines(tmp_path / "2.jsonl")
    assert evaluated(tmp_path, "my_agents:Shy", options={"word": "x"}, name="x").outcomes == {"out_of_turns": 24}
    for name, message in {
        "my_agents:Bold": "my_agents has no 'Bold'",
        "no_agents:Shy": "no module 'no_agents'",
        "my_agents:policies": "is no factory",
        "openai:": "'openai:' is not whole: write openai:MODEL",
        "hf": "'hf' is not whole: write hf:PATH",
    }.items():
        with pytest.raises(BadArgument, match=message):
            policies.make(name, DESK)


@pytest.mark.parametrize(
    "action", ["\ud800 is no text", {"type": object()}, {1, 2}, float("nan"), 10**5000], ids=range(5)
)
def test_an_action_that_json_cannot_hold_is_traced_all_the_same(tmp_path: Path, action: Any) -> None:
    report = evaluated(tmp_path, lambda observation, facts: action, "StateSet/Echo-v0", scenes=1, trials=1)
    (found,) = lines(tmp_path / "traces.jsonl")
    assert report.malformed == len(found.steps) > 0
    assert all(step.malformed for step in found.steps)
    assert replay(found) is None


def test_what_a_policy_notes_is_in_its_report(tmp_path: Path) -> None:
    class Noting(policies.Policy):
        notes = ("the server takes no schema: asked for text",)

        def act(self, observation: Any, facts: Any) -> Any:
            return {"type": "close"}

    report = evaluated(tmp_path, Noting())
    assert report.notes == Noting.notes
    assert "Note: the server takes no schema: asked for text" in str(report)
    assert lines(tmp_path / "traces.jsonl")[0].notes == [*Noting.notes]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            {"dificulty": "hard"},
            "dificulty='hard' is no argument of StateSet/CustomerService-v0. Did you mean: 'difficulty'",
        ),
        ({"policy": "expert", "options": {"temperature": 1}}, r"'expert' cannot be made so .*unexpected keyword"),
        ({"policy": "builtins:repr"}, "a factory gives an object with act"),
        ({"env_id": "CartPole-v1"}, "'CartPole-v1' is no conversation"),
    ],
)
def test_what_is_misspelt_is_told_before_anything_is_played(tmp_path: Path, call: dict[str, Any], message: str) -> None:
    with pytest.raises(BadArgument, match=message):
        evaluated(tmp_path, **({"policy": "expert"} | call))
    assert not (tmp_path / "traces.jsonl").exists()


def test_two_runs_never_share_a_file(tmp_path: Path) -> None:
    first = tracefile.TraceFile(tmp_path / "traces.jsonl")
    second = tracefile.TraceFile(tmp_path / "traces.jsonl")
    with first, pytest.raises(BadArgument, match="is there already"), second:
        pass
    evaluated(tmp_path, "expert", name="hard.jsonl", difficulty="hard")
    with pytest.raises(BadArgument, match=r"line 1, is of another run: it holds .*/hard/"):
        evaluated(tmp_path, "expert", name="hard.jsonl", resume=True)
    more = evaluated(tmp_path, "expert", name="hard.jsonl", resume=True, difficulty="hard", scenes=14)
    assert more.measured == len(lines(tmp_path / "hard.jsonl")) == 28
    assert not [*tmp_path.glob("*.part")]


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stateset_gym", "evaluate", "--policy", "random", "--scenes", "200000"]
    command += ["--workers", "2", "--traces", "traces.jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    file = tmp_path / "traces.jsonl"
    wait_until(lambda: file.exists() and file.stat().st_size > 100_000)
    children = [int(pid) for pid in subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(process.pid)]).split()]
    assert len(children) >= 2
    process.kill()
    process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def wait_until(so: Any) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_wrong_policy_is_told_by_workers_too(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="Did you mean: 'expert'"):
        evaluated(tmp_path, "exprt", workers=2)


def test_a_run_with_other_options_is_another_run(tmp_path: Path) -> None:
    evaluated(tmp_path, "random", options={"seed": 1})
    with pytest.raises(BadArgument, match=r"its options is \{'seed': 1\}, here it is \{'seed': 2\}"):
        evaluated(tmp_path, "random", options={"seed": 2}, resume=True)
    common = runs.Setting(DESK, "openai:m", options={"api_key": "k", "timeout": 3}).common()
    assert common["options"] == {"timeout": 3}


def test_two_scenes_of_ones_own_with_one_name_are_told(tmp_path: Path) -> None:
    example = {"subject": "Charge", "body": "You charged me $9.90 twice!"}
    answer = {"queue": "billing", "priority": "normal", "amount_cents": 990}
    said = [
        {"field": "issue", "value": "charged_twice", "words": "charged me $9.90 twice"},
        {"field": "amount_cents", "value": 990, "words": "$9.90"},
    ]
    first = {"name": "mine", "answer": answer, "said": said, **example}
    assert evaluated(tmp_path, "null", IDS[2], scenes=[first], trials=1).measured == 1
    with pytest.raises(BadArgument, match="two different scenes of the name 'mine': rename one"):
        evaluated(tmp_path, "null", IDS[2], scenes=[first, first | {"subject": "Twice"}], name="two.jsonl")


def test_an_interrupted_flush_writes_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated(tmp_path, "expert", name="some.jsonl", scenes=3, trials=1)
    traces = [*read(tmp_path / "some.jsonl")]
    file = tracefile.TraceFile(tmp_path / "again.jsonl")
    whole = tracefile.TraceFile._flush

    def written_and_interrupted(self: tracefile.TraceFile) -> None:
        """The bytes are on disk when the signal comes, and nobody has noted it."""
        before = self._waiting[0], self._waiting[1][:]
        whole(self)
        self._waiting = before
        monkeypatch.setattr(tracefile.TraceFile, "_flush", whole)
        raise KeyboardInterrupt

    def add_all() -> None:
        with file:
            for each in traces:
                file.add(each)
            monkeypatch.setattr(tracefile.TraceFile, "_flush", written_and_interrupted)
            file.add(msgspec.structs.replace(traces[0], trial=1, seconds=9.0))

    with pytest.raises(KeyboardInterrupt):
        add_all()
    found = [each.key for each in read(tmp_path / "again.jsonl")]
    assert found == [*(each.key for each in traces), (traces[0].scene, 1)]


def test_a_slow_episode_is_on_disk_at_once(tmp_path: Path) -> None:
    evaluated(tmp_path, "expert", name="some.jsonl", scenes=1, trials=1)
    (one,) = read(tmp_path / "some.jsonl")
    with tracefile.TraceFile(tmp_path / "again.jsonl") as file:
        for number in range(3):
            file.add(msgspec.structs.replace(one, seconds=1.0, trial=number))
            assert len([*read(tmp_path / "again.jsonl")]) == number + 1


SLOW_AGENT = """
import time
class Slow:
    def __init__(self, kind): pass
    def act(self, observation, facts):
        time.sleep(0.2)
        return {"type": "close"}
"""


def test_an_interruption_waits_for_the_episode_at_hand_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "slow_agent.py").write_text(SLOW_AGENT)
    command = [sys.executable, "-m", "stateset_gym", "evaluate", "--policy", "slow_agent:Slow", "--scenes", "400"]
    command += ["--workers", "2", "--traces", "traces.jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    file = tmp_path / "traces.jsonl"
    wait_until(lambda: file.exists() and file.stat().st_size > 0)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in errors) == (130, False), errors
    written = lines(file)
    assert 2 <= len({each.key for each in written}) == len(written) < 100
    assert f"{len(written)} of 400" in output


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_for_good_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    (tmp_path / "dead_agent.py").write_text(
        "from stateset_gym.rewards.errors import InfrastructureError\n"
        "class Dead:\n"
        "    def __init__(self, kind): pass\n"
        "    def act(self, observation, facts):\n"
        "        raise InfrastructureError('nobody answers', 'http://127.0.0.1:9', 'start the server', fatal=True)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    report = evaluated(tmp_path, "dead_agent:Dead", workers=workers, scenes=50, trials=1)
    assert (report.measured, len(report.not_measured)) == (0, 50)
    assert 1 <= len(lines(tmp_path / "traces.jsonl")) <= 2 * workers
    assert "nobody answers (http://127.0.0.1:9): start the server" in str(report)
