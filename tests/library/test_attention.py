"""L5: scaled_dot_product_attention and MultiheadAttention against torch.nn: masks, causal, dropout, widths."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_blitz import layers

pytestmark = pytest.mark.covers("L5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_close, copy_weights, over  # noqa: E402

F = torch.nn.functional
small = st.integers(1, 3)
seeds = st.integers(0, 2**16)


def some(rng, *shape):
    """Return a mask with at least one False in each row."""
    mask = rng.rand(*shape) < 0.4
    mask[..., 0] = False
    return mask


def compare(theirs, ours, arrays, weights=None):
    """Outputs and gradients of arrays, and of weights: [(PyTorch's parameter, ours)]."""
    given = [torch.tensor(each, requires_grad=True) for each in arrays]
    expected = theirs(*given)
    upstream = [np.random.RandomState(1).randn(*each.shape) for each in expected]
    torch.autograd.backward(expected, [torch.tensor(each) for each in upstream])
    held = [tf.constant(each) for each in arrays]
    with tf.GradientTape() as tape:
        tape.watch(held)
        actual = ours(*held)
    pairs = weights or []
    of = [*held, *(variable for _, variable in pairs)]
    gradients = tape.gradient(actual, of, [tf.constant(each) for each in upstream])
    for one, other in zip(actual, expected, strict=True):
        assert_close(one.numpy(), other.detach().numpy())
    for gradient, tensor in zip(gradients, [*given, *(parameter for parameter, _ in pairs)], strict=True):
        assert_close(tf.convert_to_tensor(gradient).numpy(), tensor.grad.numpy())


@over(
    few=12, seed=seeds, batch=small, heads=small, queries=small, keys=st.integers(1, 4), width=st.integers(1, 5),
    mask=st.sampled_from([None, "bool", "float", "causal"]), scale=st.sampled_from([None, 0.3]), grouped=st.booleans(),
)  # fmt: skip
def test_scaled_dot_product_attention(seed, batch, heads, queries, keys, width, mask, scale, grouped):
    rng = np.random.RandomState(seed)
    many = 2 * heads if grouped else heads
    arrays = (
        rng.randn(batch, many, queries, width),
        rng.randn(batch, heads, keys, width),
        rng.randn(batch, heads, keys, 2),
    )
    options = {"is_causal": mask == "causal", "scale": scale, "enable_gqa": grouped}
    given = {"bool": ~some(rng, batch, 1, queries, keys), "float": rng.randn(queries, keys)}.get(mask)
    compare(
        lambda q, k, v: [
            F.scaled_dot_product_attention(q, k, v, None if given is None else torch.tensor(given), **options)
        ],
        lambda q, k, v: [layers.scaled_dot_product_attention(q, k, v, given, **options)],
        arrays,
    )


def test_a_query_without_keys_gives_zeros_and_finite_gradients():
    rng = np.random.RandomState(0)
    arrays, mask = [rng.randn(2, 3, 4) for _ in range(3)], np.ones((3, 3), bool)
    mask[1] = False
    compare(
        lambda q, k, v: [F.scaled_dot_product_attention(q, k, v, torch.tensor(mask))],
        lambda q, k, v: [layers.scaled_dot_product_attention(q, k, v, mask)],
        arrays,
    )


def test_dropout_drops_as_often_as_it_should():
    ones = np.ones((1, 1, 200, 8)), np.ones((1, 1, 100, 8)), np.eye(100)[np.newaxis, np.newaxis]
    weights = layers.scaled_dot_product_attention(*map(tf.constant, ones), dropout_p=0.25).numpy()
    assert 0.23 < (weights == 0).mean() < 0.27
    np.testing.assert_allclose(weights.max(), 1 / 75)


@over(
    few=15, seed=seeds, batch=small, heads=small, depth=small, queries=small, keys=st.integers(1, 4),
    bias=st.booleans(), extra=st.booleans(), zero=st.booleans(), kdim=st.sampled_from([None, 2]),
    vdim=st.sampled_from([None, 3]), batch_first=st.booleans(),
    padded=st.sampled_from([None, "bool", "float"]), mean=st.booleans(),
    masked=st.sampled_from([None, "bool", "float", "each"]),
)  # fmt: skip
def test_multihead_attention(
    seed, batch, heads, depth, queries, keys, bias, extra, zero, kdim, vdim, batch_first, padded, mean, masked
):
    rng, width = np.random.RandomState(seed), heads * depth
    options = {"bias": bias, "add_bias_kv": extra, "add_zero_attn": zero, "kdim": kdim, "vdim": vdim}
    options["batch_first"] = batch_first
    module = torch.nn.MultiheadAttention(width, heads, **options).double()
    layer = layers.MultiheadAttention(width, heads, **options, dtype="float64")
    sizes = (queries, width), (keys, kdim or width), (keys, vdim or width)
    arrays = [rng.randn(*((batch, n) if batch_first else (n, batch)), wide) for n, wide in sizes]
    masks = {
        "key_padding_mask": {"bool": some(rng, batch, keys), "float": rng.randn(batch, keys)}.get(padded),
        "attn_mask": {
            "bool": some(rng, queries, keys), "float": rng.randn(queries, keys),
            "each": rng.randn(batch * heads, queries, keys),
        }.get(masked),
    }  # fmt: skip
    if {padded, masked} >= {"bool", "float"} or (padded == "bool" and masked == "each"):
        masks["key_padding_mask"] = None  # PyTorch warns of unlike masks
    layer.build(arrays[0].shape)
    copy_weights(module, layer, seed)
    of = dict(module.named_parameters())
    theirs = {name: None if mask is None else torch.tensor(mask) for name, mask in masks.items()}
    compare(
        lambda *given: module(*given, average_attn_weights=mean, **theirs),
        lambda *given: layer(*given, average_attn_weights=mean, **masks),
        arrays,
        [(of[variable.name], variable) for variable in layer.trainable_variables],
    )
    assert layer(*map(tf.constant, arrays), need_weights=False)[1] is None
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_multihead_attention_of_one_tensor_attends_to_itself():
    x = np.random.RandomState(0).randn(2, 3, 4)
    layer = layers.MultiheadAttention(4, 2, dtype="float64")
    np.testing.assert_array_equal(layer(x)[0], layer(x, x, x)[0])


def test_dropout_through_pytorchs_mask():
    module = torch.nn.MultiheadAttention(4, 2, 0.5, batch_first=True).double()
    layer = layers.MultiheadAttention(4, 2, 0.5, dtype="float64")
    x = np.random.RandomState(0).randn(2, 3, 4)
    layer.build(x.shape)
    copy_weights(module, layer)
    torch.manual_seed(5)
    mask = F.dropout(torch.ones(4, 3, 3, dtype=torch.float64), 0.5).numpy()
    layer.dropping.mask = lambda _: mask.reshape(2, 2, 3, 3)
    torch.manual_seed(5)
    expected = module(*[torch.tensor(x)] * 3)
    for one, other in zip(layer(x, training=True), expected, strict=True):
        assert_close(one.numpy(), other.detach().numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.MultiheadAttention(4, 3), "embed_dim must be a multiple of num_heads, not 4 of 3"),
        (lambda: layers.MultiheadAttention(4, 2, name="a")(np.ones((1, 2, 4)), is_causal=True), "a: is_causal says"),
        (
            lambda: layers.scaled_dot_product_attention(*[np.ones((1, 2, 4))] * 3, attn_mask=True, is_causal=True),
            "is_causal and attn_mask cannot both be given",
        ),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
