from itertools import count

from serving.gateway.violations import MAX_VIOLATIONS, kind_of, pointer, refuse, violation


def test_the_whole_document_has_the_empty_pointer():
    assert pointer(()) == ""


def test_escapes_keys_as_rfc_6901_does():
    assert pointer(("instances", 0, "a/b~c")) == "/instances/0/a~1b~0c"


def test_cuts_a_long_key_before_escaping_it():
    assert pointer(("/" * 1000,)) == "/" + "~1" * 64 + "…"


def test_looks_for_no_more_than_twenty_violations():
    endless = (violation(("instances", i), "wrong") for i in count())

    assert len(refuse(endless).violations) == MAX_VIOLATIONS


def test_names_every_kind_of_json_value():
    kinds = [kind_of(value) for value in ("x", True, 1, 1.5, [], {}, None)]

    assert kinds == ["a string", "a boolean", "a number", "a number", "an array", "an object", "null"]
