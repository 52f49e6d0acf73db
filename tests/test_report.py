"""Reports: the figures against the traces they are of, what was not measured, the tables, and comparisons."""

import json
import pickle
import random as chance
import re
import time
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stateset_gym.envs.customer_service.conduct import PROSE
from stateset_gym.envs.errors import BadArgument
from stateset_gym.policies import evaluation
from stateset_gym.policies.base import Usage
from stateset_gym.policies.evaluation import Collector, NothingMeasured, Report, compare, show
from stateset_gym.policies.rollout import Job
from stateset_gym.policies.runs import Setting, serial
from stateset_gym.policies.trace import Step, Trace

DESK = "StateSet/CustomerService-v0"
TERMS = ("goal", "conduct", "truth", "format", "turns")


def step(*rules: str, malformed: str = "", refused: str = "", seconds: float = 0.01, **terms: float) -> Step:
    paid = dict.fromkeys(TERMS, 0.0) | terms
    return Step({"type": "close"}, sum(paid.values()), paid, [], malformed, refused, [*rules], seconds)


def episode(number: int = 0, trial: int = 0, *steps: Step, difficulty: str = "easy", **more: Any) -> Trace:
    """An episode; without steps it is one that went well."""
    steps = steps or (step(goal=1.0),)
    terms = {name: sum(each.terms[name] for each in steps) for name in TERMS}
    given: dict[str, Any] = {
        "env": DESK, "scene": f"CustomerService-v0/test/{difficulty}/{number:06d}", "trial": trial, "policy": "mine",
        "versions": {}, "arguments": {}, "options": {}, "kind": "cancel_order", "par": 3, "opening": [], "messages": [],
        "steps": [*steps], "terms": terms, "total": sum(terms.values()), "outcome": "closed",
        "success": terms["goal"] == 1,
    }  # fmt: skip
    return Trace(**given | more)


def failed(number: int = 0, trial: int = 0, why: str = "the endpoint is dead (here): start it", **more: Any) -> Trace:
    return episode(number, trial, step(), success=False, outcome="", error=why, **more)


LOST = step(goal=0.0)


@pytest.fixture(scope="module")
def played() -> list[Trace]:
    """A careless agent's conversations."""
    pool = Setting(DESK, "never-asks").env(split="test", difficulty="normal").pool
    jobs = [Job(pool[number], trial) for number in range(24) for trial in range(2)]
    return list(serial(Setting(DESK, "never-asks"), jobs))


def test_the_figures_are_those_of_the_traces(played: list[Trace]) -> None:
    report = Report.of(played)
    size = len(played)
    assert (report.measured, report.planned, report.success.n, report.trials) == (size, size, size, 2)
    assert report.success.mean == pytest.approx(sum(trace.success for trace in played) / size)
    assert report.mean_return.mean == pytest.approx(sum(trace.total for trace in played) / size)
    assert sum(report.terms.values()) == pytest.approx(report.mean_return.mean)
    assert report.turns == pytest.approx(sum(len(trace.steps) for trace in played) / size)
    assert report.violations.total() == sum(len(trace.violations) for trace in played) > 0
    assert report.episodes_with_violations == sum(bool(trace.violations) for trace in played)
    assert report.refused == sum(each.refused != "" for trace in played for each in trace.steps)
    assert report.outcomes.total() == size
    assert sum(group.measured for group in report.by_kind.values()) == size
    assert report.by_kind["several"].mean_return.mean == pytest.approx(
        sum(trace.total for trace in played if trace.kind == "several") / report.by_kind["several"].measured
    )


def test_what_comes_in_any_order_gives_one_report(played: list[Trace]) -> None:
    shuffled = played[:]
    chance.Random(3).shuffle(shuffled)
    reports = []
    for traces in (played, shuffled):
        collector = Collector(DESK, "never-asks", {}, [trace.key for trace in played])
        for trace in traces:
            collector.add(trace)
        reports.append(collector.report())
    first, second = reports
    assert show.as_json(first) == show.as_json(second)
    assert [trace.key for trace in first.worst] == [trace.key for trace in second.worst]


def test_assertions_as_a_test_makes_them() -> None:
    report = Report.of(episode(number, trial) for number in range(60) for trial in range(4))
    assert report.success.lower > 0.9
    assert report.pass_hat(4) > 0.8
    assert not report.violations["authenticate_first"]
    assert repr(report) == (
        f"<Report of mine on {DESK}: success 100.0% (94.0% to 100.0%), return +1.000, 240 of 240 measured>"
    )
    assert re.search(r"success +100.0% +94.0% to 100.0%", str(report))


def test_a_misspelt_house_rule_does_not_pass() -> None:
    report = Report.of([episode(0, 0, step("confirm_writes", conduct=-0.25), step(goal=1.0))])
    assert report.violations["confirm_writes"] == 1
    assert report.violations["one_customer"] == 0
    with pytest.raises(KeyError, match=r"no house rule 'confirm_write'\. Did you mean: 'confirm_writes'"):
        report.violations["confirm_write"]
    with pytest.raises(KeyError, match="no house rule 'confirm_write'"):
        assert "confirm_write" not in report.violations
    with pytest.raises(KeyError, match="no house rule 'confirm_write'"):
        report.violations.get("confirm_write")
    assert "one_customer" not in report.violations
    assert report.violations.get("confirm_writes", 0) == 1
    again = pickle.loads(pickle.dumps(report.violations))
    assert again == report.violations
    with pytest.raises(KeyError, match="no house rule 'confirm_write'"):
        again["confirm_write"]


def test_the_house_rules_of_each_environment() -> None:
    assert Report.of([episode()]).rules == tuple(PROSE)
    echo = Report.of([episode(env="StateSet/Echo-v0")])
    with pytest.raises(KeyError, match="no house rule 'manners': the environment has none"):
        echo.violations["manners"]
    assert not Report.of([episode(env="StateSet/TicketTriage-v0")]).violations["supported_claims"]
    assert not Report.of([episode(env="Mine/Own-v0")]).violations["whatever"]


def test_what_was_not_measured_is_in_no_mean_and_told() -> None:
    well, badly = [episode(number) for number in range(6)], [failed(number) for number in range(6, 9)]
    report = Report.of([*well, *badly])
    assert (report.measured, report.planned) == (6, 9)
    assert report.success == Report.of(well).success
    assert report.mean_return.mean == 1
    assert [found.scene[-1] for found in report.not_measured] == ["6", "7", "8"]
    assert report.not_measured[0].why == "the endpoint is dead (here): start it"
    assert report.failures == {"the endpoint is dead (here): start it": 3}
    assert [trace.measured for trace in report.worst] == [True] * 5
    for text in (str(report), show.markdown(report)):
        assert "3 of 9 episodes were not measured, and are in no mean:" in text
        assert "the endpoint is dead" in text


def test_reasons_are_one_whatever_the_scene_and_the_numbers_and_end_with_the_remedy() -> None:
    def overflow(number: int, trial: int) -> str:
        scene = f"CustomerService-v0/test/easy/{number:06d}"
        return (
            f"{scene}, turn {trial + 2}: the prompt has {4_000 + 17 * number:,} tokens, "
            + "too many, " * 40
            + "cut it."
        )

    long = [failed(number, trial, overflow(number, trial)) for number in range(3) for trial in range(2)]
    report = Report.of([*long, failed(7), failed(8), episode(9)])
    lines = str(report).splitlines()
    first, second = (
        next(at for at, line in enumerate(lines) if part in line) for part in (" x, as in: ", "  2 x the ")
    )
    assert lines[first].startswith("  6 x, as in: CustomerService-v0/test/easy/000000, turn 2: the prompt has 4,000")
    assert all(line.startswith("  ") and len(line) <= 80 for line in lines[first:second])
    assert " ".join(" ".join(lines[first:second]).split()).endswith("too many, cut it.")
    assert "other reasons" not in str(report)
    assert "cut it" in show.markdown(report)
    huge = str(Report.of([failed(why="x" * 90_000 + " Start it."), episode(1)]))
    assert " Start it." in " ".join(huge.split())
    assert len(huge) < 4_000


def test_what_was_planned_and_not_played_is_not_measured() -> None:
    collector = Collector(DESK, "mine", {}, [episode(number).key for number in range(4)])
    collector.add(episode(2))
    collector.interrupted = True
    report = collector.report(3.0)
    assert (report.measured, report.planned, report.interrupted, report.seconds) == (1, 4, True, 3.0)
    assert report.failures == {"not played: the run stopped before": 3}
    assert "Interrupted: these are the figures of what was played." in str(report)


FIGURES: dict[str, Callable[[Report], Any]] = {
    "success": lambda report: report.success,
    "mean_return": lambda report: report.mean_return,
    "turns": lambda report: report.turns,
    "terms": lambda report: report.terms,
    "pass_hat": lambda report: report.pass_hat(1),
    "pass_at": lambda report: report.pass_at(1),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_where_nothing_was_measured_a_figure_is_an_error(figure: str) -> None:
    report = Report.of([failed(0), failed(1), failed(2, why="something else")])
    with pytest.raises(NothingMeasured, match="3 of 3 episodes failed, 2 of them with: the endpoint is dead"):
        FIGURES[figure](report)
    empty = Collector(DESK, "mine", {}).report()
    with pytest.raises(NothingMeasured, match="no episode was played"):
        FIGURES[figure](empty)


def test_where_nothing_was_measured_the_tables_still_print() -> None:
    report = Report.of([failed(0), failed(1, kind="several")])
    assert "2 of 2 episodes were not measured" in str(report)
    assert "several" not in str(report)
    assert " - " not in str(report)
    assert repr(report) == f"<Report of mine on {DESK}: 0 of 2 measured>"
    plain = json.loads(json.dumps(show.as_json(report), allow_nan=False))
    assert plain["success"] is None
    assert plain["pass_hat"] == plain["terms"] == {}
    assert len(plain["not_measured"]) == 2
    show.markdown(report)
    assert str(Collector(DESK, "mine", {}).report())


def test_the_worst_are_the_lowest_returns_and_of_equal_ones_the_first() -> None:
    totals = [1.0, 0.5, -1.0, 0.5, 0.0, 0.5, 0.5, -0.25, 1.0]
    traces = [episode(number, total=total) for number, total in enumerate(totals)]
    collector = Collector(DESK, "mine", {}, [trace.key for trace in traces])
    for trace in reversed(traces):
        collector.add(trace)
    assert [int(trace.scene[-6:]) for trace in collector.report().worst] == [2, 7, 4, 1, 3]


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), max_size=30), st.randoms())
def test_the_worst_of_any_traces(totals: list[float], random: chance.Random) -> None:
    traces = [episode(number, total=total) for number, total in enumerate(totals)]
    collector = Collector(DESK, "mine", {}, [trace.key for trace in traces])
    for trace in random.sample(traces, len(traces)):
        collector.add(trace)
    assert collector.report().worst == sorted(traces, key=lambda trace: trace.total)[:5]


def test_usage_cost_and_latency() -> None:
    traces = [
        episode(number, 0, *[step(seconds=(number + 1) / 10)] * 2, usage=Usage(2, 1_000, 200)) for number in range(10)
    ]
    report = Report.of([*traces, failed(11, usage=Usage(1, 500, None))], prices=(3.0, 15.0))
    assert (report.tokens_in, report.tokens_out) == (10_500, 2_000)
    assert report.cost == pytest.approx((10_500 * 3 + 2_000 * 15) / 1e6)
    assert report.latency_median == pytest.approx(0.5)
    assert report.latency_p95 == pytest.approx(1.0)
    assert Report.of(traces).cost is None
    free = Report.of([episode()], prices=(3.0, 15.0))
    assert (free.tokens_in, free.cost) == (None, None)
    assert "tokens in" in str(report)
    assert "tokens in" not in str(free)


def test_difficulties_stand_in_their_order_and_own_scenes_apart() -> None:
    own = episode(scene="own-12ab", own={"words": []})
    report = Report.of([own, episode(1, difficulty="hard"), episode(2, 0, LOST, difficulty="easy")])
    assert list(report.by_difficulty) == ["easy", "hard", "own"]
    assert report.by_difficulty["easy"].success.mean == 0


def test_scenes_with_fewer_trials_are_left_out_of_pass_k_and_counted() -> None:
    report = Report.of([episode(0, 0), episode(0, 1), episode(1, 0), failed(1, 1), episode(2, 0), episode(2, 1, LOST)])
    assert (report.pass_hat(2), report.pass_at(2), report.short_of(2)) == (0.5, 1.0, 1)
    assert re.search(r"k = 2 +50\.0% +100\.0% +1$", str(report), re.M)
    with pytest.raises(BadArgument, match="k=3 is not from 1 to 2"):
        report.pass_hat(3)


def test_traces_of_two_runs_make_no_report() -> None:
    with pytest.raises(BadArgument, match="has the policy 'other', the first 'mine'"):
        Report.of([episode(0), episode(1, policy="other")])
    with pytest.raises(BadArgument, match=r"000000', trial 0 is there 2 times"):
        Report.of([episode(0), episode(0)])
    with pytest.raises(BadArgument, match="no trace to report"):
        Report.of([])


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_fits(played: list[Trace], width: int) -> None:
    file = StringIO()
    long = "a-policy-of-a-very-long-name/" * 5
    report = Report.of([*played, failed(99, policy="never-asks", why="x" * 500)], prices=(1, 2))
    report.policy = long
    Console(file=file, width=width).print(show.table(report), show.comparison(compare(report, report)))
    assert max(map(len, file.getvalue().splitlines())) <= width
    assert width < 80 or all(name in file.getvalue() for name in report.by_kind)


def test_words_of_others_are_no_markup() -> None:
    report = Report.of([episode(policy="[bold]x[/nope]|<b>", kind="a|b\n*c*", outcome="[red]"), episode(1)][:1])
    other = Report.of([episode(policy="[bold]x[/nope]|<b>", kind="d")])
    assert "[bold]x[/nope]|<b>" in str(report)
    assert "[red]" in str(report)
    text = show.markdown(report) + show.markdown(compare(report, other))
    assert "\\[bold\\]x\\[/nope\\]\\|\\<b\\>" in text
    assert not re.search(r"(?<!\\)[<\[]", text)


def test_json_is_stable() -> None:
    plain = show.as_json(Report.of([episode(0), episode(1, 0, LOST)]))
    assert list(plain) == [
        "env", "policy", "arguments", "planned", "measured", "scenes", "trials", "success", "mean_return", "turns",
        "violations", "episodes_with_violations", "malformed", "refused", "pass_hat", "pass_at", "terms", "outcomes",
        "by_difficulty", "by_kind", "tokens_in", "tokens_out", "cost", "seconds", "latency", "worst", "not_measured",
        "interrupted", "notes",
    ]  # fmt: skip
    assert plain["violations"] == dict.fromkeys(PROSE, 0)
    assert plain["pass_hat"] == {"1": 0.5}
    assert plain["success"]["mean"] == 0.5
    odd = Report.of([episode(arguments={"price": float("nan")})])
    assert json.loads(json.dumps(show.as_json(odd), allow_nan=False))["arguments"] == {"price": None}


def test_two_policies_on_the_same_scenes() -> None:
    first = Report.of(
        episode(number, trial, *([LOST] if number < 12 else [])) for number in range(20) for trial in (0, 1)
    )
    second = Report.of(episode(number, trial, policy="better") for number in range(20) for trial in (0, 1))
    found = compare(first, second)
    assert (found.success, found.better, found.worse, found.left_out) == ((0.4, 1.0), 12, 0, 0)
    assert found.p_value == pytest.approx(2 / 2**12)
    assert found.success_difference.mean == pytest.approx(0.6)
    assert 0 < found.return_difference.lower < 0.6 < found.return_difference.upper < 1
    assert found.verdict == "better succeeds more often. better has the higher return."
    assert compare(second, first).verdict == found.verdict
    assert compare(second, first).success_difference.mean == pytest.approx(-0.6)
    assert "better succeeds more often. better has the higher return." in str(found)
    assert "**better succeeds more often. better has the higher return.**" in show.markdown(found)
    json.dumps(show.comparison_as_json(found), allow_nan=False)


def test_no_difference_is_not_sold_as_one() -> None:
    report = Report.of(episode(number) for number in range(5))
    found = compare(report, report)
    assert (found.p_value, found.success_difference.mean) == (1.0, 0)
    assert -1 < found.success_difference.lower < 0 < found.success_difference.upper < 1
    assert found.verdict == "No difference in success between mine and mine is proven."


def test_what_was_not_measured_for_both_is_left_out_of_the_comparison() -> None:
    first = Report.of([episode(0), failed(1), episode(2, 0, LOST), episode(3)])
    second = Report.of([episode(0), episode(1), episode(2), failed(3)])
    found = compare(first, second)
    assert (found.episodes, found.left_out, found.success) == (2, 2, (0.5, 1.0))
    assert "2 episodes were not measured for both, and are left out." in str(found)
    with pytest.raises(NothingMeasured, match="no episode was measured for both"):
        compare(Report.of([episode(0)]), Report.of([failed(0)]))


def test_reports_of_different_scenes_are_not_compared() -> None:
    first = Report.of(episode(number) for number in range(8))
    second = Report.of([*(episode(number, policy="other") for number in range(2)), episode(1, 1, policy="other")])
    with pytest.raises(BadArgument) as raised:
        compare(first, second)
    assert "only mine has CustomerService-v0/test/easy/000002 (trial 0)" in str(raised.value)
    assert "and 3 more. only other has CustomerService-v0/test/easy/000001 (trial 1)." in str(raised.value)
    assert str(raised.value).endswith("Evaluate both with the same scenes and trials.")
    with pytest.raises(BadArgument, match="two environments"):
        compare(first, Report.of([episode(env="StateSet/Echo-v0")]))


def test_taking_in_a_trace_costs_little(played: list[Trace]) -> None:
    best = 1.0
    for _ in range(7):
        collector = Collector(DESK, "mine", {}, [trace.key for trace in played])
        started = time.process_time()
        for trace in played * 20:
            collector.add(trace)
        best = min(best, (time.process_time() - started) / len(played) / 20)
    assert best < 50e-6  # 2 us where it was written; this is against a slip of an order of magnitude


def test_what_the_package_gives() -> None:
    assert set(evaluation.__all__) <= set(vars(evaluation))
