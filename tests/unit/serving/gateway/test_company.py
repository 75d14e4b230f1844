"""When a call is held back for who was just answered, and when not."""

import pytest

from serving.gateway.company import CALLS_WITHOUT_WAITING, WAITS_IN_VAIN, Company

NOW, WAIT_S = 100.0, 0.002


def answered(company: Company, rows: int, *, waiting: int = 0, now: float = NOW) -> None:
    company.hope(waiting, rows)
    company.count_from(now)


@pytest.fixture
def company() -> Company:
    return Company(WAIT_S)


def test_the_first_waits_for_nobody(company):
    assert company.is_here(1, NOW)


def test_all_who_were_answered_are_waited_for_beside_those_who_wait_already(company):
    answered(company, 3, waiting=2)

    assert not company.is_here(4, NOW)
    assert company.is_here(5, NOW)


def test_a_lone_caller_waits_for_nobody(company):
    answered(company, 1)

    assert company.is_here(1, NOW)


def test_nobody_goes_while_the_answers_are_written(company):
    company.hope(2, 3)

    assert not company.is_here(4, NOW + 3600)


def test_the_wait_ends(company):
    answered(company, 3, waiting=2)

    assert not company.is_here(2, NOW + 0.9 * WAIT_S)
    assert company.is_here(2, company.until)
    assert company.until == NOW + WAIT_S


def test_without_a_wait_calls_go_at_once_and_before_the_answers():
    company = Company(0)
    for _ in range(2 * WAITS_IN_VAIN):
        company.hope(1, 3)
        assert company.is_here(1, NOW)
        company.count_from(NOW)
        assert company.is_here(1, NOW)
        company.learn(1, NOW)


def wait_in_vain(company: Company, times: int) -> None:
    for _ in range(times):
        answered(company, 4, waiting=1)
        company.learn(2, company.until)


def test_after_waits_in_vain_calls_go_at_once_for_a_while(company):
    wait_in_vain(company, WAITS_IN_VAIN)
    for _ in range(CALLS_WITHOUT_WAITING):
        answered(company, 4, waiting=1)
        assert company.is_here(1, NOW)
        company.learn(1, NOW)

    answered(company, 4, waiting=1)
    assert not company.is_here(1, NOW)


def test_then_one_more_wait_in_vain_is_enough(company):
    wait_in_vain(company, WAITS_IN_VAIN + CALLS_WITHOUT_WAITING + 1)
    answered(company, 4, waiting=1)

    assert company.is_here(1, NOW)


def test_a_wait_is_not_in_vain_where_half_of_them_came(company):
    wait_in_vain(company, WAITS_IN_VAIN - 1)
    answered(company, 4, waiting=1)
    company.learn(3, company.until)
    wait_in_vain(company, WAITS_IN_VAIN - 1)
    answered(company, 4, waiting=1)

    assert not company.is_here(1, NOW)


def test_who_goes_before_the_wait_is_over_says_nothing_about_it(company):
    """Half a batch goes whoever else may come."""
    for _ in range(2 * WAITS_IN_VAIN):
        answered(company, 4, waiting=1)
        company.learn(2, NOW)

    answered(company, 4, waiting=1)
    assert not company.is_here(1, NOW)
