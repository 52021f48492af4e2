"""Crops, flips, grids and written images against torchvision."""

import numpy as np
import pytest

import keras_blitz
from keras_blitz.data import Compose, RandomCrop, RandomHorizontalFlip, center_crop, load_sample, make_grid, save_image
from keras_blitz.data.grid import to_bytes
from keras_blitz.errors import BlitzError

pytestmark = pytest.mark.covers("D4")


@pytest.fixture(autouse=True)
def _torchvision(request):
    if request.node.get_closest_marker("torch"):
        from parity.twins.torch.families import define_missing_operators

        define_missing_operators()


@pytest.fixture
def images():
    return np.random.RandomState(0).rand(7, 9, 12, 3).astype(np.float32)


def to_torch(images):
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, -3)))


def from_torch(images):
    return np.moveaxis(images.numpy(), -3, -1)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(4, 5), (5, 4), 9, (12, 15), (11, 3)])
def test_center_crop(images, size):
    from torchvision.transforms import CenterCrop

    np.testing.assert_array_equal(center_crop(images, size), from_torch(CenterCrop(size)(to_torch(images))))


@pytest.mark.torch
@pytest.mark.parametrize(("size", "padding"), [((6, 7), 0), ((9, 12), 4), ((9, 12), 0)])
def test_random_crops_and_flips_follow_pytorchs_seed(images, size, padding):
    import torch
    from torchvision import transforms

    theirs = transforms.Compose([transforms.RandomCrop(size, padding=padding), transforms.RandomHorizontalFlip()])
    torch.manual_seed(3)
    expected = torch.stack([theirs(image) for image in to_torch(images)])
    keras_blitz.manual_seed(3)
    ours = Compose([RandomCrop(size, padding=padding), RandomHorizontalFlip()])
    np.testing.assert_array_equal(ours(images), from_torch(expected))


@pytest.mark.torch
@pytest.mark.parametrize(
    "options",
    [{}, {"nrow": 3, "padding": 1, "pad_value": 0.5}, {"normalize": True}, {"normalize": True, "scale_each": True},
     {"normalize": True, "value_range": (0.2, 0.7)}],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_make_grid(images, options, channels):
    from torchvision.utils import make_grid as theirs

    images = images[..., :channels]
    np.testing.assert_array_equal(make_grid(images, **options), from_torch(theirs(to_torch(images), **options)))
    one = images[0]
    np.testing.assert_array_equal(make_grid(one, **options), from_torch(theirs(to_torch(one), **options)))


@pytest.mark.torch
def test_saved_image_is_torchvisions(tmp_path, images):
    import tensorflow as tf
    from torchvision.utils import save_image as theirs

    save_image(images, tmp_path / "ours.png", nrow=4)
    theirs(to_torch(images), tmp_path / "theirs.png", nrow=4)
    ours, expected = (tf.io.decode_png((tmp_path / f"{who}.png").read_bytes()).numpy() for who in ("ours", "theirs"))
    np.testing.assert_array_equal(ours, expected)


def test_bytes_round_and_do_not_wrap():
    np.testing.assert_array_equal(to_bytes(np.float32([-1, 0, 0.5, 0.999, 2])), [0, 0, 128, 255, 255])


def test_crop_larger_than_the_image(images):
    with pytest.raises(BlitzError, match="30×30 must fit into the image, 9×12"):
        RandomCrop(30)(images)


def test_unknown_ending(tmp_path):
    with pytest.raises(BlitzError, match=r"\.png or \.jpg"):
        save_image(load_sample()[0][0] / np.float32(255), tmp_path / "grid.gif")
