"""Single conversations: what the agent must do, turn by turn."""

import pytest
from shop_agent import ShopAgent

DESK = "StateSet/CustomerService-v0"


def test_it_looks_the_customer_up_first(conversation):
    talk = conversation(DESK, kinds=["cancel_order"])
    first = talk.play(ShopAgent(), turns=1)[0]
    assert first.action.email in talk.messages[1]["content"]
    assert first.facts[0]["act"] == "find_customer"


def test_it_cancels_only_after_a_yes(conversation):
    talk = conversation(DESK, kinds=["cancel_order"])
    talk.play(ShopAgent())
    acts = [type(answer.action).__name__ for answer in talk.answers]
    assert acts.index("Propose") < acts.index("CancelOrder")
    assert talk.success


def test_it_goes_on_where_a_colleague_stopped(conversation):
    talk = conversation(DESK, kinds=["cancel_order"])
    talk.say({"type": "ask", "field": "email", "message": "Good morning, what is your e-mail address?"})
    other = talk.fork()
    talk.play(ShopAgent())
    assert talk.success

    refused = other.say({"type": "cancel_order", "order_id": "O0", "reason": "no_longer_needed"})
    assert "O0" in refused.refused
    other.play(ShopAgent())
    assert other.success
    assert other.total < talk.total


@pytest.mark.stateset(
    env=DESK, kinds=["order_question", "cancel_order", "not_your_order"], difficulty=["easy", "normal"], scenes=2
)
def test_it_breaks_no_rule(conversation):
    talk = conversation()
    talk.play(ShopAgent())
    assert not talk.violations


@pytest.mark.stateset(env=DESK, kinds=["order_question"], scenes=range(100))
def test_it_answers_on_these_scenes(evaluate_policy, scene):
    assert evaluate_policy(ShopAgent(), DESK, scenes=[scene]).success.mean == 1
