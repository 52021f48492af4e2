"""The slow cases of the networks; those of the others are in a file of their own, beside which this one runs."""

import pytest
from subjects import DEEP

from parity.suite.select import all_cases

# VGG16 at 224×224 in train mode takes 10 GB, with BatchNorm and without. Of the networks that differ in depth alone,
# the smallest and the largest are here, and ResNet50 and VGG16. `parity run --slow` has all of them.
LEFT_OUT = ("vgg16-train", "vgg16_bn-train", "resnet34", "resnet101", "vgg13", "vgg13_bn", "resnet18-224-single")
SLOW = [
    case
    for case in all_cases()
    if (case.slow or case.subject in DEEP) and case.group == "networks" and case.subject not in LEFT_OUT
]
SLOW_BY_SUBJECT = {s: [case for case in SLOW if case.subject == s] for s in dict.fromkeys(c.subject for c in SLOW)}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("subject", SLOW_BY_SUBJECT)
def test_slow(subject, assert_cases_pass):
    assert_cases_pass(SLOW_BY_SUBJECT[subject])
