from importlib.util import find_spec

import numpy as np
import pytest

from keras_blitz.data import CLASSES, fit_to, load_sample, normalize, resize, to_tensor
from keras_blitz.data.sample import __file__ as sample_file


@pytest.mark.covers("D3")
@pytest.mark.parametrize(("split", "count"), [("train", 2000), ("test", 1000)])
def test_sample_is_real_and_balanced(split, count):
    images, labels = load_sample(split)
    assert images.shape == (count, 28, 28, 1)
    assert images.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(labels), np.full(len(CLASSES), count // 10))
    assert images.min() == 0
    assert images.max() == 255
    assert len({image.tobytes() for image in images}) == count


def test_sample_is_a_copy():
    load_sample("test")[0][:] = 0
    assert load_sample("test")[0].any()


def test_sample_is_small_and_carries_its_licence():
    from pathlib import Path

    folder = Path(sample_file).parent
    assert (folder / "fashion_mnist.npz").stat().st_size < 2_000_000
    assert "Zalando" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_unknown_split():
    with pytest.raises(ValueError, match="split must be 'train' or 'test', not 'val'"):
        load_sample("val")


def test_sample_is_what_its_script_makes(tmp_path, downloads):
    """The kept script on the real files gives the arrays in the package."""
    import subprocess
    import sys
    from pathlib import Path

    raw = downloads / "FashionMNIST" / "raw"
    if not raw.is_dir():
        pytest.skip(f"needs Fashion-MNIST's raw files in {raw}")
    script = Path(__file__).parents[2] / "scripts" / "dev" / "make_sample.py"
    subprocess.run([sys.executable, script, raw, tmp_path / "sample.npz"], check=True)
    with np.load(tmp_path / "sample.npz") as made:
        for split in ("train", "test"):
            images, labels = load_sample(split)
            np.testing.assert_array_equal(images[..., 0], made[f"{split}_images"])
            np.testing.assert_array_equal(labels, made[f"{split}_labels"])


@pytest.mark.covers("D4")
@pytest.mark.torch
def test_to_tensor_and_normalize_are_pytorchs_bits():
    import torch

    images, _ = load_sample("train")
    tensor = torch.from_numpy(images[:50]).to(torch.float32).div(255)
    np.testing.assert_array_equal(to_tensor(images[:50]), tensor.numpy())
    expected = tensor.sub(torch.tensor(0.1307)).div(torch.tensor(0.3081)).numpy()
    np.testing.assert_array_equal(normalize(to_tensor(images[:50]), (0.1307,), (0.3081,)), expected)


def test_to_tensor_refuses_what_is_scaled_already():
    with pytest.raises(TypeError, match="to_tensor takes uint8 images, not float32"):
        to_tensor(np.zeros((1, 2, 2, 1), np.float32))


def test_fit_to_pads_with_zeros_and_repeats_the_channel():
    fitted = fit_to(np.ones((2, 28, 28, 1), np.uint8), (32, 32, 3))
    assert fitted.shape == (2, 32, 32, 3)
    assert fitted[:, 2:30, 2:30].min() == 1
    assert fitted.sum() == 2 * 28 * 28 * 3


@pytest.mark.parametrize("shape", [(27, 28, 1), (29, 28, 1)])
def test_fit_to_refuses_what_does_not_fit(shape):
    with pytest.raises(ValueError, match="cannot be resized"):
        fit_to(np.ones((1, 28, 28, 1), np.uint8), shape)


SIZES = [64, 224, 20, (20, 31), (94, 100), (30, 61), (47, 7), (47, 61)]


@pytest.fixture(scope="module")
def torchvision():
    if not find_spec("torchvision"):  # not imported before the reference has prepared for that
        pytest.skip("needs torchvision: pip install 'keras-blitz[torch]'")
    from parity.twins.torch import families

    families.empty("alexnet")
    import torchvision.transforms

    return torchvision


@pytest.mark.covers("D4")
@pytest.mark.torch
@pytest.mark.parametrize("size", SIZES)
def test_resize_of_bytes_is_torchvisions_of_a_pil_image_bit_for_bit(torchvision, size):
    from PIL import Image

    transform = torchvision.transforms.Resize(size)
    images = np.random.RandomState(0).randint(0, 256, (3, 47, 61, 3)).astype(np.uint8)
    truth = np.stack([np.asarray(transform(Image.fromarray(image))) for image in images])
    np.testing.assert_array_equal(resize(images, size), truth)


@pytest.mark.torch
def test_resize_of_the_sample_is_torchvisions_bit_for_bit(torchvision):
    from PIL import Image

    images, _ = load_sample("train")
    transform = torchvision.transforms.Resize(64)
    truth = np.stack([np.asarray(transform(Image.fromarray(image[..., 0]))) for image in images[:100]])
    np.testing.assert_array_equal(resize(images[:100], 64)[..., 0], truth)


@pytest.mark.torch
@pytest.mark.parametrize("size", SIZES)
def test_resize_of_numbers_is_torchs_antialiased_interpolation(torchvision, size):
    import torch

    images = np.random.RandomState(1).randn(2, 47, 61, 3)
    truth = torchvision.transforms.Resize(size, antialias=True)(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(resize(images, size).transpose(0, 3, 1, 2), truth.numpy(), rtol=0, atol=1e-14)


def test_resize_keeps_a_flat_image_flat_and_the_dtype():
    assert (resize(np.full((1, 5, 7, 1), 137, np.uint8), (9, 3)) == 137).all()
    assert resize(np.zeros((5, 7, 1), np.float32), 10).dtype == np.float32
    assert resize(np.zeros((2, 5, 7, 1), np.float32), 10).shape == (2, 10, 14, 1)
