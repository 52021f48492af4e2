"""The slow cases of optimizers, training and everything else that is not a network."""

import pytest

from parity.suite.select import all_cases
from parity.suite.training import missing

# Of LeNet the rate changed half-way, which is the constant one till then; ResNet18's 100 steps take 5 minutes an
# optimizer, by two workers too. `parity run --slow` has the others, too.
LEFT_OUT = ("-lenet-constant", "-lenet-schedule", "-resnet18-changed", "-ddp-resnet18", "-one-resnet18")
SLOW = [
    case
    for case in all_cases()
    if case.slow and case.group != "networks" and not any(plan in case.subject for plan in LEFT_OUT)
]
SLOW_BY_SUBJECT = {s: [case for case in SLOW if case.subject == s] for s in dict.fromkeys(c.subject for c in SLOW)}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("subject", SLOW_BY_SUBJECT)
def test_slow(subject, assert_subject_passes):
    if reason := missing(SLOW_BY_SUBJECT[subject][0]):
        pytest.skip(reason)
    assert_subject_passes(SLOW_BY_SUBJECT[subject])
