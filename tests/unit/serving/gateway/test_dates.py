from types import SimpleNamespace

from serving.gateway import dates


def test_the_time_is_written_as_http_has_it_and_follows_the_clock(monkeypatch):
    seconds = iter([0.9, 1.0, 784_111_777.5])
    monkeypatch.setattr(dates, "time", SimpleNamespace(time=lambda: next(seconds)))

    assert [dates.http_date() for _ in range(3)] == [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:01 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT",
    ]
