import numpy as np

from parity.core import inputs

SHAPES = {"conv1.weight": (6, 1, 5, 5), "conv1.bias": (6,), "fc1.weight": (120, 400)}


def test_the_stream_is_frozen():
    """Golden files hold what PyTorch computed from these values; they must never change."""
    np.testing.assert_array_equal(
        inputs.images((1, 1, 1, 3), "lenet").ravel(),
        np.float32([1.689134120941162, -0.608893871307373, -1.0253545045852661]),
    )
    np.testing.assert_array_equal(inputs.labels(5, 10, "lenet"), [9, 5, 1, 3, 7])


def test_weights_have_pytorchs_bounds_biases_too():
    weights = inputs.weights(SHAPES, "lenet")
    for name, fan_in in (("conv1.weight", 25), ("conv1.bias", 25), ("fc1.weight", 400)):
        assert weights[name].dtype == np.float32
        assert weights[name].shape == SHAPES[name]
        assert np.abs(weights[name]).max() <= fan_in**-0.5
    assert np.abs(weights["fc1.weight"]).max() > 0.99 * 400**-0.5


def test_a_missing_weight_changes_no_other():
    some = inputs.weights({name: SHAPES[name] for name in ("conv1.weight", "fc1.weight")}, "lenet")
    whole = inputs.weights(SHAPES, "lenet")
    for name in some:
        np.testing.assert_array_equal(some[name], whole[name])


def test_images_have_unit_spread():
    images = inputs.images((4, 3, 32, 28), "x")
    assert abs(images.mean()) < 0.05
    assert abs(images.std() - 1) < 0.05


def test_moved_weights_are_within_four_units_in_the_last_place():
    state = {"w": inputs.uniform((500, 7), 1.0, "moved"), "count": np.array(3)}
    assert inputs.moved(state, 0)["w"] is state["w"]
    first, second = inputs.moved(state, 1), inputs.moved(state, 2)
    assert first["count"] == 3
    assert first["w"].dtype == np.float32
    steps = np.abs(first["w"].astype(float) - state["w"]) / np.spacing(np.abs(state["w"]))
    assert 4 <= steps.max() <= 8  # a factor of 4·2⁻²³ is 8 units for a number just below a power of two
    assert (first["w"] != state["w"]).mean() > 0.8
    assert (first["w"] != second["w"]).any()


def test_a_mask_keeps_its_share_and_scales_it_and_at_1_keeps_nothing():
    mask = inputs.mask((200, 50), 0.2, "lenet")
    assert set(np.unique(mask)) == {0.0, 1.25}
    assert abs((mask == 0).mean() - 0.2) < 0.02
    np.testing.assert_array_equal(inputs.mask((2, 3), 1.0, "lenet"), np.zeros((2, 3)))
