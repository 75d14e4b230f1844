from serving.model_server.policy import Action, ActionKind, HarnessState, Snapshot, next_action
from tests.conformance.rows import row

NEW, LOADING, READY, ERROR = HarnessState.NEW, HarnessState.LOADING, HarnessState.READY, HarnessState.ERROR
LOAD, UNLOAD = ActionKind.LOAD, ActionKind.UNLOAD


def action(*versions: tuple[int, HarnessState, bool]) -> Action | None:
    return next_action([Snapshot(*version) for version in versions])


def test_nothing_to_do() -> None:
    assert action() is None
    assert action((1, READY, True)) is None
    assert action((1, LOADING, True)) is None


def test_the_highest_new_version_is_loaded_first() -> None:
    assert action((1, NEW, True), (2, NEW, True)) == Action(LOAD, 2)


def test_the_old_version_stays_while_the_new_one_loads() -> None:
    assert action((1, READY, False), (2, NEW, True)) == Action(LOAD, 2)
    assert action((1, READY, False), (2, LOADING, True)) is None


def test_the_old_version_goes_once_the_new_one_is_ready() -> None:
    assert action((1, READY, False), (2, READY, True)) == Action(UNLOAD, 1)


def test_the_old_version_stays_when_the_new_one_failed() -> None:
    assert action((1, READY, False), (2, ERROR, True)) is None


def test_everything_goes_when_nothing_is_wanted() -> None:
    assert action((1, READY, False), (2, READY, False)) == Action(UNLOAD, 1)


@row("3.4/3")
def test_of_two_unwanted_versions_one_goes_before_the_new_one_is_there() -> None:
    assert action((1, READY, False), (2, READY, False), (3, NEW, True)) == Action(UNLOAD, 1)
