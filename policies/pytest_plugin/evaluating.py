"""An evaluation in a test: where more than the agent went wrong, the test says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stateset_gym.policies.evaluation import Report, evaluate
from stateset_gym.policies.evaluation.sections import reasons as reasons_of

from .wrong import WRONG, shortened

SHOWN = 3
"""How many reasons are told."""


def evaluated(policy: Any, env_id: str | None, options: Mapping[str, Any], **arguments: Any) -> Report:
    """Evaluate a policy."""
    __tracebackhide__ = True
    if env_id is None:
        raise pytest.UsageError(
            "evaluate_policy needs an environment: evaluate_policy(policy, 'StateSet/CustomerService-v0')."
        )
    try:
        return evaluate(policy, env_id, options=options, **arguments)
    except WRONG as error:
        raise shortened(error) from error.__cause__


def measured(report: Report, allowed: int, replayed: bool) -> None:
    """Fail the test where more episodes than allowed say nothing about the policy."""
    __tracebackhide__ = True
    missing = len(report.not_measured)
    if missing <= allowed:
        return
    reasons = [f"  {each}" for each in reasons_of(report)]
    more = [f"  ... and {len(reasons) - SHOWN} more reasons"] if len(reasons) > SHOWN else []
    if replayed:
        more.append("Where a cassette no longer fits the test, pytest --stateset-record records it anew.")
    pytest.fail(
        f"{missing} of {report.planned} episodes were not measured, for what is not the agent's fault "
        f"(allow_unmeasured={allowed}):\n" + "\n".join([*reasons[:SHOWN], *more]),
        pytrace=False,
    )
