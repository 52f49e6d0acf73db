"""Traces become chat data and preference pairs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stateset_gym  # noqa: F401
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies import runs
from stateset_gym.policies.export import branches, export, pairs
from stateset_gym.policies.replay import replay
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.trace import Trace, encode
from stateset_gym.rewards import Reward

ECHO, DESK = "StateSet/Echo-v0", "StateSet/CustomerService-v0"
CANCEL = "CustomerService-v0/train/easy/000005"


def traces(env: str, policy: Any, count: int = 2, trials: int = 1, **arguments: Any) -> list[Trace]:
    setting = runs.Setting(env, policy, arguments)
    pool = setting.env().pool
    return [*runs.serial(setting, [Job(pool[n * 7], trial) for n in range(count) for trial in range(trials)])]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def mixed() -> list[Trace]:
    """Good and bad conversations over the same scenes."""
    return [trace for policy in ("expert", "liar", "refuse-all", "null") for trace in traces(DESK, policy, 3)]


def test_conversations_become_chat_data(mixed: list[Trace], tmp_path: Path) -> None:
    found = export(mixed, "sft", tmp_path / "sft.jsonl")
    written = rows(tmp_path / "sft.jsonl")
    assert (found.rows, found.kept, found.seen, found.fallen) == (12, 12, 12, {})
    for row, trace in zip(written, mixed, strict=True):
        assert row["messages"] == trace.messages[:-1]
        assert row["messages"][-1]["role"] == "assistant"
        assert (row["scene"], row["policy"], row["return"]) == (trace.scene, trace.policy, trace.total)
        assert (row["split"], row["difficulty"], row["success"]) == ("train", "easy", trace.success)
        assert [m["role"] for m in row["messages"]] == ["system", "user"] + ["assistant", "user"] * (
            row["turns"] - 1
        ) + ["assistant"]


def test_turns_become_prompts_and_completions(tmp_path: Path) -> None:
    (trace,) = traces(DESK, "expert", 1)
    export([trace], "sft-turns", tmp_path / "turns.jsonl")
    written = rows(tmp_path / "turns.jsonl")
    assert [row["turn"] for row in written] == [*range(1, len(trace.steps) + 1)]
    for row, step in zip(written, trace.steps, strict=True):
        (answer,) = row["completion"]
        assert answer["role"] == "assistant"
        assert json.loads(answer["content"]) == msgspec.to_builtins(step.action)
        assert row["prompt"][-1]["role"] == "user"
        assert [*row["prompt"], answer] == trace.messages[: len(row["prompt"]) + 1]


def test_traces_are_read_from_a_file(mixed: list[Trace], tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_bytes(b"".join(map(encode, mixed)))
    export(mixed, "sft", tmp_path / "a.jsonl")
    export(str(tmp_path / "traces.jsonl"), "sft", str(tmp_path / "b.jsonl"))
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({"success": True}, lambda trace: trace.success),
    ({"success": False}, lambda trace: not trace.success),
    ({"min_return": 0.5}, lambda trace: trace.total >= 0.5),
    ({"max_return": -0.5}, lambda trace: trace.total <= -0.5),
    ({"outcome": "closed"}, lambda trace: trace.outcome == "closed"),
    ({"outcome": ["left", "out_of_turns"]}, lambda trace: trace.outcome != "closed"),
    ({"policy": ("liar", "null"), "max_return": 1}, lambda trace: trace.policy in ("liar", "null")),
    ({"faultless": True}, lambda trace: trace.policy == "expert"),
    ({"split": "train", "difficulty": "easy", "success": None}, lambda trace: True),
]


@pytest.mark.parametrize(("filters", "fits"), FILTERS)
def test_filters_let_through_what_they_say(mixed: list[Trace], tmp_path: Path, filters: Any, fits: Any) -> None:
    found = export(mixed, "sft", tmp_path / "out.jsonl", **filters)
    expected = [(*trace.key, trace.policy) for trace in mixed if fits(trace)]
    assert [(row["scene"], row["trial"], row["policy"]) for row in rows(tmp_path / "out.jsonl")] == expected
    assert sum(found.fallen.values()) == found.seen - found.kept == len(mixed) - len(expected)


def test_what_was_not_measured_is_left_out(mixed: list[Trace], tmp_path: Path) -> None:
    broken = [msgspec.structs.replace(mixed[0], error="the endpoint is dead"), *mixed[1:]]
    found = export(broken, "sft", tmp_path / "out.jsonl", success=True)
    assert found.fallen == {"not being measured": 1, "success=True": 9}
    assert str(found).endswith(
        "out.jsonl: 2 rows from 2 of 12 traces, 9 left out by success=True, 1 left out by not being measured"
    )


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"min_retrun": 0.5}, "The filter 'min_retrun' does not exist. Did you mean: 'min_return'?"),
        ({"zzz": 1}, "The filter 'zzz' does not exist: choose one of min_return, max_return, success"),
        ({"outcome": "close"}, "outcome='close' is not known. Did you mean: 'closed'?"),
        ({"difficulty": ["easy", "hrad"]}, "difficulty='hrad' is not known. Did you mean: 'hard'?"),
        ({"split": 3}, "split=3 is no name, and no list of names"),
        ({"success": "yes"}, "success='yes' is neither True nor False"),
        ({"min_return": "1"}, "min_return='1' is no number"),
        ({"min_return": True}, "min_return=True is no number"),
        ({"min_return": 0.5, "max_return": 0.2}, "min_return=0.5 is above max_return=0.2: no return lies between"),
    ],
)
def test_bad_filters_are_told(tmp_path: Path, filters: Any, message: str) -> None:
    with pytest.raises(BadArgument, match=message.replace("?", r"\?")):
        export([], "sft", tmp_path / "out.jsonl", **filters)


def test_a_bad_format_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match=r"The format 'dop' does not exist. Did you mean: 'dpo'\?"):
        export([], "dop", tmp_path / "out.jsonl")
    with pytest.raises(BadArgument, match=r"margin=0\.1 is for the format 'dpo', not for 'sft': leave it out"):
        export([], "sft", tmp_path / "out.jsonl", margin=0.1)


def test_nothing_to_export_is_told_with_the_reasons(mixed: list[Trace], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    reasons = "of 12 traces, 9 by success=True, 3 by policy=['liar'] fell out"
    with pytest.raises(BadArgument) as raised:
        export(mixed, "sft", out, success=True, policy="liar")
    assert reasons in str(raised.value)
    with pytest.raises(
        BadArgument, match=r"12 by policy=\['exprt'\] fell out\. policy='exprt' is in none\. Did you mean: 'expert'\?"
    ):
        export(mixed, "sft", out, policy="exprt")
    with pytest.raises(BadArgument, match="Nothing to export: there are no traces to look at"):
        export([], "sft", out)
    with pytest.raises(
        BadArgument, match=r"3 traces gave no pair\. Pairs need several episodes of a scene, with other returns"
    ):
        export(mixed, "dpo", out, policy="expert")
    assert [*tmp_path.iterdir()] == []


def test_an_output_that_exists_stays(mixed: list[Trace], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.jsonl"
    export(mixed, "sft", out)
    before = out.read_bytes()
    with pytest.raises(
        BadArgument, match=r"out\.jsonl exists: give overwrite=True \(--overwrite\) to replace it, or another name"
    ):
        export(mixed[:1], "sft", out)

    def breaks() -> Iterator[Trace]:
        yield mixed[0]
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        export(breaks(), "sft", out, overwrite=True)
    assert out.read_bytes() == before
    export(mixed[:1], "sft", out, overwrite=True)
    assert len(rows(out)) == 1
    assert [*out.parent.iterdir()] == [out]
    with pytest.raises(BadArgument, match="deep is a folder, and the output is a file: give another name"):
        export(mixed, "sft", out.parent, overwrite=True)


def test_pairs_are_where_episodes_of_a_scene_part(mixed: list[Trace], tmp_path: Path) -> None:
    found = export(mixed, "dpo", tmp_path / "dpo.jsonl")
    written = rows(tmp_path / "dpo.jsonl")
    assert found.rows == len(written) >= 6
    by_name = {(trace.scene, trace.policy): trace for trace in mixed}
    for row in written:
        better, worse = (by_name[row["scene"], row[f"{which}_policy"]] for which in ("chosen", "rejected"))
        (chosen,), (rejected,) = row["chosen"], row["rejected"]
        size = len(row["prompt"])
        assert chosen["role"] == rejected["role"] == "assistant"
        assert chosen != rejected
        assert [*row["prompt"], chosen] == better.messages[: size + 1]
        assert [*row["prompt"], rejected] == worse.messages[: size + 1]
        assert row["turn"] == (size - 2) // 2 + 1
        assert row["chosen_return"] > row["rejected_return"]


def like(trace: Trace, answers: list[str], total: float, replies: list[str] | None = None) -> Trace:
    """A trace in which the agent said this, and the customer that."""
    heard = replies or ["yes"] * len(answers)
    messages = trace.messages[:2]
    for answer, reply in zip(answers, heard, strict=True):
        messages = [*messages, {"role": "assistant", "content": answer}, {"role": "user", "content": reply}]
    return msgspec.structs.replace(trace, messages=messages, steps=[trace.steps[0]] * len(answers), total=total)


def told(found: Iterator[dict[str, Any]]) -> list[tuple[int, str, str]]:
    return [(row["turn"], row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in found]


def test_pairs_weigh_ways_by_their_mean(mixed: list[Trace]) -> None:
    one = mixed[0]
    both = [like(one, ["a", "b"], 1.0), like(one, ["a", "c"], 0.0), like(one, ["d"], 0.25)]
    assert told(pairs(both)) == [(1, "a", "d"), (2, "b", "c")]
    assert told(pairs(both, margin=0.5)) == [(2, "b", "c")]
    assert told(pairs([like(one, ["a"], 0.5), like(one, ["b"], 0.5)])) == []
    assert told(pairs([like(one, ["a"], 0.5), like(one, ["a", "b"], 0.0)])) == []
    # Another answer of the customer's is another conversation.
    apart = [like(one, ["a", "b"], 1.0, ["yes", "yes"]), like(one, ["a", "c"], 0.0, ["no", "no"])]
    assert told(pairs(apart)) == []
    other = msgspec.structs.replace(apart[1], arguments={"prompt": "brief"})
    assert told(pairs([like(one, ["a"], 1.0), like(other, ["b"], 0.0)])) == []


WAYS = st.lists(
    st.tuples(st.lists(st.sampled_from("ab"), min_size=1, max_size=4), st.sampled_from([-1.0, 0.0, 1.0])), max_size=8
)


@given(WAYS)
def test_pairs_never_contradict_each_other(ways: list[tuple[list[str], float]]) -> None:
    (one,) = traces(ECHO, "expert", 1)
    found = [*pairs([like(one, answers, total) for answers, total in ways])]
    seen = {(len(row["prompt"]), json.dumps(row["prompt"]), row["chosen"][0]["content"]) for row in found}
    for row in found:
        assert (len(row["prompt"]), json.dumps(row["prompt"]), row["rejected"][0]["content"]) not in seen
        assert row["chosen_return"] > row["rejected_return"]


@pytest.mark.parametrize("policy", ["expert", "random", "null", lambda observation, facts: '{"type":"close"}'])
def test_a_policy_goes_on_from_any_turn(policy: Any) -> None:
    (trace,) = traces(DESK, "liar-authenticated", 1, difficulty="hard", max_turns=20)
    found = [*branches(trace, policy)]
    assert found
    for each in found:
        turn = int(each.policy.split("turn ")[1].split()[0])
        size = 2 + 2 * (turn - 1)
        assert each.messages[:size] == trace.messages[:size]
        assert each.messages[size] != trace.messages[size]
        assert replay(each) is None
        if policy == "expert":
            assert each.total > trace.total
    assert replay(trace) is None


def test_the_expert_goes_on_as_it_does(mixed: list[Trace]) -> None:
    """It is told what it would remember: from turns of its own it does what it did."""
    for trace in mixed[:3]:
        assert [*branches(trace, "expert")] == []


def test_an_action_is_put_in_place_of_another() -> None:
    (trace,) = traces(DESK, "expert", 1, difficulty="hard")
    wrong = '{"type":"apologise","message":"It costs 12.00."}'
    found = [*branches(trace, "expert", turns=[2, 4], instead=wrong)]
    assert [each.policy for each in found] == ["expert, from turn 2 expert", "expert, from turn 4 expert"]
    for each, turn in zip(found, (2, 4), strict=True):
        assert each.steps[turn - 1].action == wrong
        assert each.total < trace.total
        assert replay(each) is None
    chosen = told(pairs([trace, *found]))
    assert [(turn, rejected) for turn, _, rejected in chosen] == [(2, wrong), (4, wrong)]


def test_tries_differ_by_their_seed() -> None:
    (trace,) = traces(DESK, "expert", 1)
    found = [*branches(trace, "random", turns=[1], tries=4)]
    assert [each.trial for each in found] == [0, 1, 2, 3]
    assert len({json.dumps(each.messages) for each in found}) == 4
    assert found == [*branches(trace, "random", turns=[1], tries=4)]


def test_branches_of_what_cannot_be_made_want_an_environment() -> None:
    reward = Reward(extra={"brisk": lambda facts: -0.01})
    setting = runs.Setting(DESK, "expert", {"reward": reward})
    (trace,) = runs.serial(setting, [Job(CANCEL)])
    with pytest.raises(BadArgument, match="was paid by extra terms"):
        [*branches(trace, "null")]
    (found,) = branches(trace, "null", turns=[1], env=setting.env())
    assert found.terms["brisk"] < -0.1


def test_a_customer_who_is_code_goes_on_live() -> None:
    setting = runs.Setting(
        DESK, lambda o, f: '{"type":"ask","field":"email"}', {"customer": lambda *_: {"act": "drift"}}
    )
    (trace,) = runs.serial(setting, [Job(CANCEL)])
    with pytest.raises(BadArgument, match=r"the customer was '.*', who must go on too: give an `env`"):
        [*branches(trace, "null")]
    live = runs.Setting(DESK, "null", {"customer": lambda *_: {"act": "leave"}}).env()
    (found,) = branches(trace, lambda o, f: '{"type":"ask","field":"name"}', turns=[3], env=live)
    assert [step.facts[0]["act"] for step in found.steps] == ["drift", "drift", "leave"]


def test_bad_branches_are_told() -> None:
    (trace,) = traces(DESK, "expert", 1)
    with pytest.raises(BadArgument, match=r"turns holds 99: .* was played in turns 1 to"):
        [*branches(trace, "null", turns=[99])]
    trace.messages[-1]["content"] = "?"
    with pytest.raises(BadArgument, match=r"does not play as it was recorded: see what replay\(trace\) says"):
        [*branches(trace, "null")]
