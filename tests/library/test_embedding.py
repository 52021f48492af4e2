"""L5: Embedding and EmbeddingBag against torch.nn: padding, max_norm, frequencies, bags of both forms."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_blitz import layers

pytestmark = pytest.mark.covers("L5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_close, copy_weights, over  # noqa: E402

small = st.integers(1, 3)
seeds = st.integers(0, 2**16)
rows = st.integers(2, 6)
norms = st.sampled_from([None, None, 0.5, 1.5])


def compare(module, layer, seed, *given, weights=None):
    """Outputs, the table afterwards, and the gradients of the table and of per_sample_weights."""
    module = module.double()
    layer.build(given[0].shape)
    copy_weights(module, layer, seed)
    theirs, ours = {}, {}
    if weights is not None:
        theirs["per_sample_weights"] = torch.tensor(weights, requires_grad=True)
        ours["per_sample_weights"] = tf.constant(weights)
    expected = module(*map(torch.tensor, given), **theirs)
    upstream = np.random.RandomState(1).randn(*expected.shape)
    expected.backward(torch.tensor(upstream))
    with tf.GradientTape() as tape:
        tape.watch(list(ours.values()))
        actual = layer(*map(tf.constant, given), **ours)
    assert_close(actual.numpy(), expected.detach().numpy())
    gradients = tape.gradient(actual, [layer.embeddings.value, *ours.values()], upstream)
    for gradient, tensor in zip(gradients, [module.weight, *theirs.values()], strict=True):
        assert_close(tf.convert_to_tensor(gradient).numpy(), tensor.grad.numpy())
    assert_close(layer.embeddings.numpy(), module.weight.detach().numpy())
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@over(
    few=15, seed=seeds, count=rows, width=small, shape=st.lists(small, min_size=1, max_size=2), padding=st.booleans(),
    norm=norms, p=st.sampled_from([2.0, 1.0]), frequent=st.booleans(),
)  # fmt: skip
def test_embedding(seed, count, width, shape, padding, norm, p, frequent):
    options = {"padding_idx": -1 if padding else None, "max_norm": norm, "norm_type": p, "scale_grad_by_freq": frequent}
    ids = np.random.RandomState(seed).randint(0, count, shape)
    module = torch.nn.Embedding(count, width, **options)
    if norm:
        module.weight.requires_grad_(True)
    compare(module, layers.Embedding(count, width, **options, dtype="float64"), seed, ids)


@over(
    few=20, seed=seeds, count=rows, width=small, bags=small, longest=st.integers(1, 4), padding=st.booleans(),
    norm=norms, mode=st.sampled_from(["sum", "mean", "max"]), flat=st.booleans(), last=st.booleans(),
    weighted=st.booleans(),
)  # fmt: skip
def test_embedding_bag(seed, count, width, bags, longest, padding, norm, mode, flat, last, weighted):
    rng = np.random.RandomState(seed)
    options = {"padding_idx": 1 if padding else None, "max_norm": norm, "mode": mode, "include_last_offset": last}
    given = [rng.randint(0, count, (bags, longest))]
    if flat:
        lengths = rng.randint(0, longest + 1, bags)
        lengths[-1] = max(lengths[-1], 1)
        offsets = np.cumsum([0, *lengths])
        given = [rng.randint(0, count, lengths.sum()), offsets if last else offsets[:-1]]
    else:
        options["include_last_offset"] = False
    weights = rng.randn(*given[0].shape) if weighted and mode == "sum" else None
    module = torch.nn.EmbeddingBag(count, width, **options)
    compare(module, layers.EmbeddingBag(count, width, **options, dtype="float64"), seed, *given, weights=weights)


def test_new_tables_are_normal_noise_with_zeros_for_the_padding():
    layer = layers.Embedding(5000, 4, padding_idx=2)
    layer.build(None)
    table = layer.embeddings.numpy()
    assert np.all(table[2] == 0)
    assert 0.98 < table.std() < 1.02


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Embedding(3, 2, padding_idx=3), "padding_idx must be from -3 to 2, not 3"),
        (lambda: layers.EmbeddingBag(3, 2, mode="min"), 'mode must be "mean", "sum" or "max", not \'min\''),
        (
            lambda: layers.EmbeddingBag(3, 2, name="bag")(np.zeros((2, 2), int), per_sample_weights=np.ones((2, 2))),
            "bag: per_sample_weights need mode \"sum\", not 'mean'",
        ),
        (lambda: layers.EmbeddingBag(3, 2, name="bag")(np.zeros(3, int)), "bag: offsets are for inputs of one axis"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
