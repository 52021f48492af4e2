"""Sources of `parity.translate` have no block of lines twice: functions share a function."""

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


def test_what_functions_share_is_a_function():
    shared = without_repeats(SOURCE)
    assert list(_functions(shared)) == ["gate_part", "gate", "gate_2", "other"]
    assert ast.get_docstring(_functions(shared)["gate_part"]) == "Gate and Other, a part."
    assert shared.count("    size, y, z = gate_part(x, weight)\n") == 3
    assert _values(shared) == _values(SOURCE)


def test_what_is_short_stays_as_it_is():
    one, two, three, four = SOURCE.split("z = y - size")
    apart = f"{one}z = y - size{two}z = y - size * 1{three}z = 1 * y - size{four}"
    assert without_repeats(apart) == apart


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
