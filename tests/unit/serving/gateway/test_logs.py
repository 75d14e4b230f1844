import json
import logging
import sys

import pytest

from serving.gateway.access_log import Answered, log, log_answered
from serving.gateway.logs import FORMATTERS


def record(message: str, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("a.logger", logging.WARNING, __file__, 1, message, (), None)
    made.__dict__.update(more)
    return made


@pytest.mark.parametrize("name", FORMATTERS)
def test_a_message_is_one_line_and_commands_no_terminal(name):
    line = FORMATTERS[name].format(record("one\ntwo\r\x1b[2J\x9b\x7fthree"))

    assert line.isprintable()
    assert "one" in line
    assert "three" in line


def test_a_json_line_has_the_fields_of_its_record():
    line = json.loads(FORMATTERS["json"].format(record("hello", fields={"code": "200"})))

    assert line.items() >= {("level", "warning"), ("logger", "a.logger"), ("message", "hello"), ("code", "200")}
    assert line["time"].endswith("+00:00")


def test_a_traceback_is_in_its_line():
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        line = FORMATTERS["json"].format(record("failed", exc_info=sys.exc_info()))

    assert "ZeroDivisionError" in json.loads(line)["exception"]
    assert "\n" not in line


@pytest.fixture
def answered():
    return Answered("id", "POST /x", "predict", "200", 1.25, model="m")


def test_an_answer_is_a_line_with_its_fields(answered, caplog):
    caplog.set_level("INFO")
    log_answered(answered)

    [one] = caplog.records
    assert one.getMessage() == "POST /x 200 1.2 ms id"
    assert one.fields["model"] == "m"


def test_an_answer_is_no_line_where_none_is_wanted(answered, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(log, "disabled", True)
    log_answered(answered)

    assert caplog.records == []
