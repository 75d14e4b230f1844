"""How often, and after which pauses, a lost call to the model server is made again."""

from serving.gateway.retries import ATTEMPTS, FIRST_PAUSE_S, LONGEST_PAUSE_S, RetryBudget


def test_a_lost_call_is_made_again_after_a_pause_that_may_grow():
    pauses = [RetryBudget().pause_s(attempt, 10.0) for attempt in range(1, ATTEMPTS)]

    assert all(pause is not None and 0 <= pause <= LONGEST_PAUSE_S for pause in pauses)
    assert pauses[0] <= FIRST_PAUSE_S


def test_the_last_attempt_was_the_last():
    assert RetryBudget().pause_s(ATTEMPTS, 10.0) is None


def test_nothing_is_tried_again_beyond_the_time_of_the_call():
    assert RetryBudget().pause_s(1, 0.0) is None


def test_while_more_than_one_in_ten_fails_nothing_is_tried_again():
    budget = RetryBudget()
    pauses = [budget.pause_s(1, 10.0) for _ in range(6)]

    assert [pause is None for pause in pauses] == [False] * 4 + [True] * 2


def test_successes_earn_new_tries_ten_for_one():
    budget = RetryBudget()
    for _ in range(5):
        budget.pause_s(1, 10.0)
    for _ in range(15):
        budget.succeeded()

    assert budget.pause_s(1, 10.0) is not None
    assert budget.pause_s(1, 10.0) is None
