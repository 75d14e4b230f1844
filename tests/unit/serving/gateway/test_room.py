import pytest

from serving.errors import Overloaded
from serving.gateway.room import Room


def test_who_finds_no_room_is_to_come_again():
    room = Room(10)

    with room.take(6), room.take(4), pytest.raises(Overloaded), room.take(1):
        pass


def test_room_is_given_back_however_the_work_ends():
    room = Room(10)

    with pytest.raises(ValueError, match="wrong"), room.take(10):
        raise ValueError("wrong")

    with room.take(10):
        pass


def test_who_was_refused_has_taken_nothing():
    room = Room(10)

    with room.take(6):
        with pytest.raises(Overloaded), room.take(5):
            pass
        with room.take(4):
            pass
