import threading
import time

import pytest

from serving.gateway import phases


def test_the_phases_of_a_request_add_up_to_its_time():
    began = time.perf_counter()
    phases.begin(waited_s=0.5)
    phases.lap("validation")
    phases.lap("waiting", at=began + 10)
    phases.lap("model_server", at=began + 30)
    phases.lap("model_server", at=began + 40)

    seconds = phases.end()

    assert list(seconds) == ["waiting", "validation", "model_server", "encoding"]
    assert seconds["waiting"] == pytest.approx(10.5, abs=1)
    assert seconds["model_server"] == pytest.approx(30)
    assert sum(seconds.values()) == pytest.approx(0.5 + time.perf_counter() - began, abs=1)


def test_a_thread_that_answers_no_request_has_no_phases():
    phases.begin()
    seen = []

    def look() -> None:
        phases.lap("model_server")
        seen.append(phases.end())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert seen == [{}]
    assert "model_server" not in phases.end()
    assert phases.end() == {}
