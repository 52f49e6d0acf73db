"""The pytest plug-in: hold conversations and evaluate policies in tests, and see the conversation where one fails.

pytest loads this in every run, also where no test needs it: nothing but pytest is imported before a fixture or a marker
asks for more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .kept import CURRENT, KEPT, Kept, cassette_options, current, default_policy

if TYPE_CHECKING:
    from stateset_gym.policies.evaluation import Report

    from .matrix import Place
    from .talk import Conversation

MARKER = (
    "stateset(env, *, scenes=1, kinds=None, difficulty='easy', split='test', **arguments): run the test for so many "
    "scenes of each kind and difficulty of an environment, or for the scenes listed; `conversation()` opens the one."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("stateset", "conversations with agents (StateSet Gym)")
    group.addoption(
        "--stateset-policy",
        metavar="NAME",
        help="the policy of tests that name none: a name, openai:MODEL, hf:PATH, module:factory, ...",
    )
    group.addoption(
        "--stateset-trials",
        type=int,
        metavar="N",
        help="how often evaluate_policy plays each scene where the test does not say (by default once)",
    )
    group.addoption(
        "--stateset-record",
        action="store_true",
        help="ask the hosted models and record their replies; without this, cassettes are replayed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and refuse what no option can be."""
    config.addinivalue_line("markers", MARKER)
    trials = config.getoption("stateset_trials")
    if trials is not None and trials < 1:
        raise pytest.UsageError(f"--stateset-trials={trials}: give a whole number from 1 up.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each scene of a marker."""
    mark = metafunc.definition.get_closest_marker("stateset")
    if mark is None:
        return
    if "_stateset_place" in metafunc.fixturenames:
        from .matrix import places

        found = places(mark, metafunc.definition.nodeid)
        metafunc.parametrize("_stateset_place", found, ids=[place.id for place in found], indirect=True)
    elif mark in metafunc.definition.own_markers:
        raise pytest.Collector.CollectError(
            f"{metafunc.definition.nodeid} is marked with scenes, and takes none: "
            "give it the fixture `conversation` or `scene`."
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """From here on, what is evaluated and said is this test's."""
    item.config.stash[CURRENT] = item
    item.stash[KEPT] = Kept()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a failed test has evaluated and said."""
    report = yield
    if report.failed and KEPT in item.stash:
        try:
            for title, text in item.stash[KEPT].sections(getattr(item, "funcargs", {}).values()):
                _add(report, title, text)
        except Exception as error:  # noqa: BLE001 - raised from here it would end the whole session
            _add(report, "conversations", f"They cannot be shown: {error!r}")
    return report


def _add(report: pytest.TestReport, title: str, text: str) -> None:
    """Put a section below the traceback, where --show-capture=no leaves it; else among those of captured output."""
    add = getattr(report.longrepr, "addsection", None) or (lambda *section: report.sections.append(section))
    add(title, text)


@pytest.fixture(scope="session")
def evaluate_policy(pytestconfig: pytest.Config) -> Callable[..., Report]:
    """Play a policy on many scenes: report = evaluate_policy(policy, env_id, scenes=50, trials=4, kinds=[...]).

    It takes what `stateset_gym.policies.evaluation.evaluate` takes, and beside that:

    - policy: by default that of --stateset-policy; trials: by default those of --stateset-trials;
    - cassette: replay a hosted model's replies from a file beside the test: True, or the file's name;
    - allow_unmeasured: so many episodes may fail for what is not the agent's fault, such as a dead endpoint.
    """

    def evaluate_policy(
        policy: Any = None,
        env_id: str | None = None,
        *,
        trials: int | None = None,
        cassette: bool | str | Path = False,
        allow_unmeasured: int = 0,
        **arguments: Any,
    ) -> Report:
        __tracebackhide__ = True
        from .evaluating import evaluated, measured

        policy = default_policy(pytestconfig) if policy is None else policy
        trials = trials if trials is not None else pytestconfig.getoption("stateset_trials") or 1
        options = dict(arguments.pop("options", None) or {})
        if cassette:
            options |= cassette_options(pytestconfig, None if cassette is True else cassette)
        if options.get("record"):
            arguments |= {"workers": 1, "ray": None}  # one process writes the file
        report = evaluated(policy, env_id, options, trials=trials, **arguments)
        current(pytestconfig).stash[KEPT].reports.append(report)
        measured(report, allow_unmeasured, replayed=bool(cassette) and not options["record"])
        return report

    return evaluate_policy


@pytest.fixture
def cassette(pytestconfig: pytest.Config) -> Callable[..., dict[str, Any]]:
    """The options by which a hosted model's replies are recorded and replayed: talk.play("openai:M", **cassette())."""

    def cassette(name: str | Path | None = None) -> dict[str, Any]:
        __tracebackhide__ = True
        return cassette_options(pytestconfig, name)

    return cassette


@pytest.fixture
def _stateset_place(request: pytest.FixtureRequest) -> Place | None:
    place: Place | None = getattr(request, "param", None)
    return place


@pytest.fixture
def scene(_stateset_place: Place | None) -> Any:
    """The scene of the marker `stateset` that the test is run for: its name, or a scene of your own."""
    __tracebackhide__ = True
    if _stateset_place is None:
        raise pytest.UsageError(
            "The fixture `scene` is for tests that are marked: @pytest.mark.stateset(env='StateSet/Echo-v0')."
        )
    return _stateset_place.scene


@pytest.fixture
def conversation(pytestconfig: pytest.Config, _stateset_place: Place | None) -> Iterator[Callable[..., Conversation]]:
    """Hold a conversation: talk = conversation(env_id, scene="..."); talk.say({"type": "ask", ...}); talk.play(agent).

    Where the test is marked with scenes, conversation() opens the one that it is run for.
    """
    from .talk import opened

    talks = current(pytestconfig).stash[KEPT].talks

    def conversation(env_id: str | None = None, scene: Any = None, **arguments: Any) -> Conversation:
        __tracebackhide__ = True
        return opened(_stateset_place, env_id, scene, arguments, talks, lambda: default_policy(pytestconfig))

    yield conversation
    for talk in talks:
        talk.close()
