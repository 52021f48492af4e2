"""The slow cases of optimizers, training and everything else that is not a network."""

import pytest
from subjects import DEEP

from parity.suite.run import rows
from parity.suite.select import all_cases
from parity.suite.training import missing

# The rate changed half-way is the constant one till then, on LeNet as on the functions, on which
# test_as_pytorch_with_one_rate in tests/library/test_optim.py has all of a constant rate. ResNet18's 100 steps take
# 5 minutes an optimizer, by two workers too. `parity run --slow` has the others, too.
LEFT_OUT = (
    "-functions-constant", "-lenet-constant", "-lenet-schedule", "-resnet18-changed", "-ddp-resnet18", "-one-resnet18",
)  # fmt: skip
SLOW = [
    case
    for case in all_cases()
    if (case.slow or case.subject in DEEP)
    and case.group != "networks"
    and not any(plan in case.subject for plan in LEFT_OUT)
]
# A row's cases share a compiled step; the heavy ones share nothing, and are a subject at a time.
BY_ROW = {group[0].row_or_subject: group for group in rows(SLOW)}
BY_SUBJECT = {case.subject: [one for one in SLOW if one.subject == case.subject] for case in SLOW if case.heavy}
GROUPS = BY_ROW | BY_SUBJECT


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", GROUPS)
def test_slow(name, assert_cases_pass):
    if reason := missing(GROUPS[name][0]):
        pytest.skip(reason)
    assert_cases_pass(GROUPS[name])
