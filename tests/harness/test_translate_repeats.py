"""Sources of `parity.translate` have no block of lines twice: functions of a class share a function."""

import ast

from parity.translate.repeats import without_repeats

FIVE = """\
    size = x + 1
    y = x * weight
    z = y - size
    for i in range(2):
        z = z + i * y
"""
SOURCE = f'''\
def gate(x, path, weight):
    """Gate."""
{FIVE}    return z * y


def gate_2(x, path, weight, more=False):
    """Gate."""
    x = x + 3
{FIVE}    if more:
        z = z - y
    return z - size


def other(x, path, weight):
    """Other."""
{FIVE}    return z
'''


def _values(source):
    """Return what the functions return for numbers."""
    space = {}
    exec(source, space)
    calls = [("gate", {}), ("gate_2", {}), ("gate_2", {"more": True}), ("other", {})]
    return [space[name](x, "p", weight, **more) for name, more in calls for x, weight in ((2, 3), (7, 5))]


def _functions(source):
    return {each.name: each for each in ast.parse(source).body}


def test_what_two_functions_of_a_class_share_is_a_function():
    shared = without_repeats(SOURCE)
    assert list(_functions(shared)) == ["gate_part", "gate", "gate_2", "other"]
    assert "def gate_part(x, y, z, size, path" not in shared  # it makes these
    assert "    size, y, z = gate_part(x, weight)\n" in shared
    assert shared.count("weight") == SOURCE.count("weight") - 1 + 3  # twice given, once taken
    assert _values(shared) == _values(SOURCE)


def test_another_class_and_what_is_short_stay_as_they_are():
    unlike = SOURCE.replace("y = x * weight", "y = weight * x", 1)
    assert without_repeats(unlike) == unlike
    apart = SOURCE.replace('"""Gate."""', '"""Gates."""', 1)
    assert without_repeats(apart) == apart


def test_three_places_have_one_function():
    third = SOURCE.replace("other", "gate_3").replace("Other", "Gate")
    shared = without_repeats(third)
    assert shared.count("= gate_part(") == 3
    assert _values(shared.replace("gate_3", "other")) == _values(SOURCE)


def test_the_end_of_two_functions_is_a_function_that_returns_for_them():
    source = SOURCE.replace("    return z * y\n", "    return z - size\n").replace(
        "    if more:\n        z = z - y\n", ""
    )
    shared = without_repeats(source)
    assert shared.count("    return gate_end(x, weight)") + shared.count("    return gate_start(x, weight)") == 2
    assert _values(shared) == _values(source)


def test_a_variable_that_may_not_be_there_is_not_given_to_a_function():
    sometimes = """\
    if more:
        y = x + 1
        x = y * 2
    x = x * x
    x = x - 4
"""
    after = "    if more:\n        x = x - y\n    return x{}\n"
    source = "\n\n".join(
        f'def {name}(x, path, more=False):\n    """Gate."""\n{sometimes}{after.format(end)}'
        for name, end in (("gate", " * 2"), ("gate_2", " * 3"))
    )
    shared = without_repeats(source)
    for text in (source, shared):
        space = {}
        exec(text, space)
        found = [space[name](5, "p", more) for name in ("gate", "gate_2") for more in (False, True)]
        assert found == [42, 268, 63, 402]
    assert "y)" not in shared
