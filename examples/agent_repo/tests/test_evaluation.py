"""How the agent does on scenes that nobody picked by hand."""

import pytest
from shop_agent import ShopAgent

DESK = "StateSet/CustomerService-v0"
SERVED = ["order_question", "cancel_order"]


def test_what_it_serves_it_serves_reliably(evaluate_policy):
    report = evaluate_policy(ShopAgent(), DESK, kinds=SERVED, scenes=50, trials=2)
    assert report.success.lower > 0.9  # the lower end of the 95 % interval
    assert report.pass_hat(2) > 0.9
    assert not report.violations["authenticate_first"]
    assert not report.violations["confirm_writes"]


@pytest.fixture(scope="module")
def everything(evaluate_policy):
    """One evaluation for several tests; each that fails shows it."""
    return evaluate_policy(ShopAgent(), DESK, scenes=48)


def test_no_house_rule_is_broken_anywhere(everything):
    assert not everything.violations


def test_what_it_cannot_serve_it_does_not_mend_by_force(everything):
    assert everything.by_kind["return_items"].success.mean == 0
    assert everything.mean_return.mean >= 0


def test_a_policy_of_the_command_line(evaluate_policy, request):
    """Any agent: pytest --stateset-policy shop_agent:make --stateset-trials 3."""
    if request.config.getoption("stateset_policy") is None:
        pytest.skip("the command line names no agent to measure: add --stateset-policy shop_agent:make")
    assert evaluate_policy(env_id=DESK, kinds=SERVED, scenes=10).success.mean == 1
