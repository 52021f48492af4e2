from dataclasses import replace

import numpy as np
import pytest

from parity.core.compare import Comparison, Row
from parity.core.evidence import proves_nothing, undecided, verdict_of
from parity.core.fingerprint import fingerprint
from parity.core.trace import ABSENT
from parity.core.vacuous import NOT_FINITE, Content, content_of, count_warnings, warnings_for
from parity.core.verdict import Verdict

pytestmark = pytest.mark.covers("H9")

SQUARE = np.random.RandomState(0).randn(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("name", "array", "initial", "warning"),
    [
        ("activation:relu", np.zeros((2, 3)), None, "all zero"),
        ("grad:fc.bias", np.full(5, 0.25), None, "constant"),
        ("activation:relu", SQUARE * np.array([1, 0, 0]).reshape(1, 3, 1, 1), None, "most channels are all zero"),
        ("activation:conv", SQUARE + SQUARE.swapaxes(2, 3), None, "equal to its own transpose"),
        ("step2:param:fc.bias", np.arange(3.0), np.arange(3.0), "did not move"),
        ("buffer:bn1.running_mean", np.zeros(4), None, "untouched"),
    ],
)
def test_weak_evidence_is_flagged(name, array, initial, warning):
    assert any(warning in found for found in warnings_for(name, array, initial))


@pytest.mark.parametrize(
    ("name", "array", "initial"),
    [
        ("activation:conv", SQUARE, None),
        ("activation:relu", SQUARE * np.array([1, 1, 0]).reshape(1, 3, 1, 1), None),
        ("grad:fc.bias", np.arange(5.0), None),
        ("step2:param:fc.bias", np.arange(3.0), np.ones(3)),
        ("loss", np.float64(0.0), None),
        ("buffer:bn1.running_mean", np.arange(4.0), None),
    ],
)
def test_sound_evidence_is_not(name, array, initial):
    assert warnings_for(name, array, initial) == ()


@pytest.mark.parametrize(
    ("name", "value", "initial", "content"),
    [
        ("output", SQUARE, None, Content.VARIED),
        ("output", np.ones((3, 2)), None, Content.REPEATED),
        ("output", np.ones((1, 2)), None, Content.VARIED),  # one example tells of no other
        ("activation:fc", np.ones((3, 2)), None, Content.VARIED),
        ("output", np.zeros((3, 2)), None, Content.ZERO),
        ("output", np.float64(0.0), None, Content.ZERO),
        ("output", np.full((3, 2), np.nan), None, Content.NOT_FINITE),
        ("output", np.array([np.inf, 0.0]), None, Content.NOT_FINITE),
        ("output", np.array([np.nan, 1.0]), None, Content.VARIED),
        ("output", np.zeros((0, 2)), None, Content.EMPTY),
        ("output", np.zeros(3, int), None, Content.OTHER),
        ("input", np.zeros((1, 3), int), None, Content.VARIED),  # tokens
        ("input", np.ones((2, 3), int), None, Content.REPEATED),
        ("input", np.array([[True], [False]]), None, Content.VARIED),
        ("grad:fc.bias", ABSENT, None, Content.ABSENT),
        ("grad:fc.weight", fingerprint(np.zeros(1000)), None, Content.ZERO),
        ("grad:fc.weight", fingerprint(np.ones(1000)), None, Content.VARIED),
        ("step1:param:fc.bias", np.arange(3.0), np.arange(3.0), Content.UNMOVED),
        ("step1:param:fc.bias", np.arange(3.0), np.ones(3), Content.VARIED),
    ],
)
def test_content_of_a_tensor(name, value, initial, content):
    assert content_of(name, value, initial) is content


def rows(**contents):
    """Rows that agree; `grad_w` stands for grad:w, `step1_param_w` for step1:param:w."""
    return [
        Row(name.replace("_", ":"), 6, True, 0.0, 0.0, 1e-12, content=Content[content])
        for name, content in contents.items()
    ]


SILENT = [
    (rows(input="VARIED", output="NOT_FINITE", grad_w="VARIED"), "NaN or infinite (output)"),
    (rows(input="EMPTY", output="EMPTY", grad_w="ZERO"), "input has no values"),
    (rows(input="VARIED", output="ZERO"), "every output is zero"),
    (rows(input="VARIED", output="ZERO", grad_bias="VARIED"), "every output is zero"),
    (rows(input="NOT_FINITE", output_0="NOT_FINITE", output_1="OTHER"), "check the data"),
    (rows(input="NOT_FINITE", output="OTHER"), "nothing was compared that depends on the input"),
    (rows(input="ZERO", output="VARIED"), "give random inputs"),
    (rows(input="VARIED", output="REPEATED"), "the same for every example"),
    (rows(input="VARIED", output="REPEATED", grad_bias="VARIED", grad_input="ZERO"), "the same for every example"),
    (
        [
            *rows(input="VARIED", output="REPEATED"),
            Row("grad:lstm.bias_hh_l0", 6, True),
            Row("grad:attention.in_proj_bias", 6, True),
        ],
        "the same for every example",
    ),
    (rows(input="VARIED", output="VARIED", loss="ZERO", grad_w="ZERO", grad_bias="NOT_FINITE"), "of every parameter"),
    (rows(input="VARIED", output="VARIED", grad_w="VARIED", step1_param_w="UNMOVED"), "learning rate"),
    (
        rows(input="VARIED", output="VARIED", grad_w="VARIED", grad_v="ABSENT", step1_param_w="UNMOVED",
             step1_param_v="UNMOVED"),
        "learning rate",
    ),
]  # fmt: skip
TELLING = [
    rows(input="VARIED", output="VARIED"),
    rows(input="ZERO", output="VARIED", grad_w="VARIED"),
    rows(input="VARIED", output="ZERO", grad_w="VARIED"),  # a head that is zero at first
    rows(input="VARIED", output="REPEATED", grad_w="VARIED"),
    rows(input="REPEATED", output="REPEATED"),  # one example, repeated
    rows(input_0="VARIED", input_1="ZERO", output="VARIED"),  # tokens and a mask
    rows(input="VARIED", output_0="VARIED", output_1="ZERO"),  # an auxiliary loss in eval mode
    rows(input="VARIED", output_0="VARIED", output_1="EMPTY"),
    rows(input="VARIED", output="OTHER"),  # argmax
    rows(input="VARIED", output_0="EMPTY", output_1="OTHER"),
    rows(input="VARIED", output="VARIED", grad_w="ABSENT", grad_input="VARIED"),  # frozen
    rows(input="VARIED", output="VARIED", grad_w="VARIED", grad_v="ZERO", grad_input="ZERO"),
    rows(input="VARIED", output="VARIED", grad_w="VARIED", step1_param_w="UNMOVED", step2_param_w="VARIED"),
    rows(input="VARIED", output="VARIED", grad_w="VARIED", grad_v="ABSENT", step1_param_w="VARIED",
         step1_param_v="UNMOVED"),
    [],
]  # fmt: skip


@pytest.mark.parametrize(("found", "reason"), SILENT)
def test_evidence_that_proves_nothing_has_one_reason(found, reason):
    (said,) = proves_nothing(found)
    assert reason in said


@pytest.mark.parametrize("found", TELLING)
def test_evidence_that_proves_something_has_none(found):
    assert list(proves_nothing(found)) == []


def test_a_loss_that_was_given_and_is_not_there():
    found = rows(input="VARIED", output="VARIED")
    assert "returned None" in next(proves_nothing(found, loss_given=True))
    assert list(proves_nothing([*found, *rows(loss="VARIED", grad_w="VARIED")], loss_given=True)) == []


def test_an_input_with_one_nan_is_the_cause_where_the_outputs_are_nan():
    given, output = rows(input="VARIED", output="NOT_FINITE")
    assert "check the weights" in next(proves_nothing([given, output]))
    assert "input has NaN" in next(proves_nothing([replace(given, warnings=(NOT_FINITE,)), output]))


def test_one_precision_that_proves_something_is_enough():
    nothing, something = (Comparison(tuple(rows(input="VARIED", output=held))) for held in ("ZERO", "VARIED"))
    assert undecided([nothing, nothing]) == tuple(proves_nothing(nothing.rows))
    assert undecided([nothing, something]) == undecided([something, nothing]) == undecided([]) == ()


def test_a_difference_is_one_whatever_else_is_in_doubt():
    agree = Comparison(tuple(rows(input="VARIED", output="ZERO")))
    differ = replace(agree, rows=(*agree.rows, Row("loss", 1, False, problem="differs")))
    assert undecided([agree, differ]) == ()
    assert verdict_of(differ, ["it is random"]) is Verdict.NOT_EQUIVALENT
    assert verdict_of(agree, ["it is random"]) is verdict_of(Comparison(()), []) is Verdict.NOT_DECIDED
    assert verdict_of(agree, []) is Verdict.EQUIVALENT


def test_warnings_are_counted_once_a_tensor():
    pairs = [("a", "zero"), ("b", "zero"), ("a", "constant"), ("a", "zero")]
    assert count_warnings(pairs) == [("zero", 2, "a"), ("constant", 1, "a")]
