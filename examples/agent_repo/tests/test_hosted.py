"""A hosted model, offline: its replies are in cassettes/, and are recorded anew by `pytest --stateset-record`."""

DESK = "StateSet/CustomerService-v0"
MODEL = "openai:desk-model"  # what answered when these were recorded: see record.py


def test_it_answers_questions_about_orders(evaluate_policy):
    report = evaluate_policy(
        MODEL, DESK, kinds=["order_question"], scenes=4, trials=2, cassette=True, options={"style": "text"}
    )
    assert report.success.mean == 1
    assert not report.violations
    assert report.tokens_out < 1000


def test_it_asks_nothing_twice(conversation, cassette):
    talk = conversation(DESK, kinds=["order_question"])
    talk.play(MODEL, style="text", **cassette())
    asked = [answer.action for answer in talk.answers if '"ask"' in answer.action]
    assert len(asked) == len({*asked})
    assert talk.success
