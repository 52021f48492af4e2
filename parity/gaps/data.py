"""Data and image transforms."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from keras_blitz.floatx import precision
from parity.gaps.gap import array_gap, output_gap
from parity.gaps.helpers import dtype, raised
from parity.gaps.lazy import F, Image, data, keras, nn, random, tf, torch, torchvision

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _photo(stream):
    """Return a smooth uint8 image (47, 61, 3), made of nothing but NumPy."""
    waves = stream.uniform(0, 2 * np.pi, (3, 2)), stream.uniform(0.05, 0.2, (3, 2))
    y, x = np.mgrid[:47, :61]
    image = [np.sin(f[0] * y + p[0]) + np.sin(f[1] * x + p[1]) for p, f in zip(*waves, strict=True)]
    return np.round(63.75 * (np.stack(image, -1) + 2)).astype(np.uint8)


def _unit(*shape):
    return lambda stream: stream.random_sample(shape).astype(np.float32)


def _transform(name, image, *arguments, **options):
    """Return what torchvision's functional transform of a PIL image gives, as an array."""
    return np.asarray(getattr(torchvision.transforms.functional, name)(Image.fromarray(image), *arguments, **options))


def _tensor(image):
    return torchvision.transforms.functional.to_tensor(image)


@array_gap(
    "data-totensor",
    "O",
    "`ToTensor`: divided by 255, in float32",
    "`Rescaling(1/255)` multiplies",
    "`keras_blitz.data.to_tensor`",
    image=_photo,
)
class _:
    def pytorch(image):
        return _tensor(image).permute(1, 2, 0)

    def naive(image):
        return keras.layers.Rescaling(1 / 255, dtype="float32")(image)

    def exact(image):
        return data.to_tensor(image)


@array_gap(
    "data-totensor-layout",
    "O",
    "`ToTensor`: (C, H, W)",
    "`keras.utils.img_to_array`: (H, W, C), 0–255",
    "`to_tensor`, transposed",
    image=_photo,
)
class _:
    def pytorch(image):
        return _tensor(image)

    def naive(image):
        return keras.utils.img_to_array(Image.fromarray(image), dtype="float32")

    def exact(image):
        return data.to_tensor(image).transpose(2, 0, 1)


@array_gap(
    "data-normalize",
    "O",
    "`Normalize`: − mean, then / std, in float32",
    "in float64, then cast",
    "`keras_blitz.data.normalize`",
    image=_photo,
)
class _:
    def pytorch(image):
        return torchvision.transforms.functional.normalize(_tensor(image), MEAN, STD).permute(1, 2, 0)

    def naive(image):
        return ((image / 255 - MEAN) / STD).astype(np.float32)

    def exact(image):
        return data.normalize(data.to_tensor(image), MEAN, STD)


@array_gap(
    "data-normalize-05",
    "O",
    "`Normalize(0.5, 0.5)` after `ToTensor`",
    "x/127.5 − 1",
    "`to_tensor`, `normalize`",
    image=lambda s: np.arange(256, dtype=np.uint8).reshape(16, 16, 1),
)
class _:
    def pytorch(image):
        return torchvision.transforms.functional.normalize(_tensor(image), [0.5], [0.5]).permute(1, 2, 0)

    def naive(image):
        return tf.cast(image, tf.float32) / 127.5 - 1

    def exact(image):
        return data.normalize(data.to_tensor(image), (0.5,), (0.5,))


@array_gap(
    "data-standardization",
    "O",
    "`Normalize(mean, std)` of the data set",
    "`tf.image.per_image_standardization`: of the image",
    "`keras_blitz.data.normalize`",
    image=_photo,
)
class _:
    def pytorch(image):
        return torchvision.transforms.functional.normalize(_tensor(image), MEAN, STD).permute(1, 2, 0)

    def naive(image):
        return tf.image.per_image_standardization(tf.cast(image, tf.float32) / 255)

    def exact(image):
        return data.normalize(data.to_tensor(image), MEAN, STD)


@array_gap(
    "data-resize-pil",
    "O",
    "`Resize` of a PIL image: antialiased, rounded to whole levels after each axis",
    "`tf.image.resize`: not antialiased",
    "`keras_blitz.data.resize`",
    image=_photo,
)
class _:
    def pytorch(image):
        return _transform("resize", image, [20, 31]).astype(np.float64)

    def naive(image):
        return tf.cast(tf.image.resize(image, (20, 31)), tf.float64)

    def exact(image):
        return data.resize(image, (20, 31)).astype(np.float64)


@array_gap(
    "data-resize-tensor",
    "O",
    "`Resize` of a tensor: antialiased",
    "`tf.image.resize`: not antialiased, float32",
    "`keras_blitz.data.resize`",
    x=(47, 61, 3),
)
class _:
    def pytorch(x):
        image = torch.tensor(x).permute(2, 0, 1)
        return torchvision.transforms.functional.resize(image, [20, 31], antialias=True).permute(1, 2, 0)

    def naive(x):
        return tf.cast(tf.image.resize(x, (20, 31)), tf.float64)

    def exact(x):
        return data.resize(x, (20, 31))


@array_gap(
    "data-resize-bicubic",
    "O",
    "`Resize` of a PIL image, bicubic: antialiased, a = −½, rounded to whole levels after each axis",
    "`tf.image.resize`, bicubic: not antialiased",
    "`keras_blitz.data.resize`",
    image=_photo,
)
class _:
    def pytorch(image):
        bicubic = torchvision.transforms.InterpolationMode.BICUBIC
        return _transform("resize", image, [20, 31], bicubic).astype(np.float64)

    def naive(image):
        return tf.cast(tf.image.resize(image, (20, 31), "bicubic"), tf.float64)

    def exact(image):
        return data.resize(image, (20, 31), "bicubic").astype(np.float64)


@array_gap(
    "data-resize-shorter-side",
    "O",
    "`Resize(20)`: the shorter side",
    "`Resizing(20, 20)`: both, squashed",
    "`keras_blitz.data.resize`",
    image=_photo,
)
class _:
    def pytorch(image):
        return {"shape": str(_transform("resize", image, 20).shape)}

    def naive(image):
        return {"shape": str(tuple(keras.layers.Resizing(20, 20)(image).shape))}

    def exact(image):
        return {"shape": str(data.resize(image, 20).shape)}


@array_gap(
    "data-centercrop",
    "O",
    "`CenterCrop((20, 28))` of (47, 61) begins at round(13.5), round(16.5), halves to even",
    "`CenterCrop` begins at 13, 16",
    "`keras_blitz.data.center_crop`",
    image=_photo,
)
class _:
    def pytorch(image):
        return _transform("center_crop", image, [20, 28])

    def naive(image):
        return tf.cast(keras.layers.CenterCrop(20, 28)(image[None])[0], tf.uint8)

    def exact(image):
        return data.center_crop(image, (20, 28))


@array_gap(
    "data-grayscale",
    "O",
    "`Grayscale` of a PIL image: (19595·R + 38470·G + 7471·B + 2¹⁵) >> 16",
    "`tf.image.rgb_to_grayscale`: 0.2989·R + 0.587·G + 0.114·B",
    "`keras_blitz.data.rgb_to_grayscale`",
    image=_photo,
)
class _:
    def pytorch(image):
        return _transform("to_grayscale", image)

    def naive(image):
        return tf.image.rgb_to_grayscale(image)[..., 0]

    def exact(image):
        return data.rgb_to_grayscale(image)[..., 0]


def _encoded(image, kind):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


@array_gap(
    "data-jpeg-decode",
    "O",
    "PIL decodes JPEG by libjpeg's accurate transform",
    "`tf.io.decode_jpeg`: by its fast one",
    "dct_method='INTEGER_ACCURATE'",
    image=_photo,
)
class _:
    def pytorch(image):
        return np.asarray(Image.open(io.BytesIO(_encoded(image, "JPEG"))))

    def naive(image):
        return tf.io.decode_jpeg(_encoded(image, "JPEG"))

    def exact(image):
        return tf.io.decode_jpeg(_encoded(image, "JPEG"), dct_method="INTEGER_ACCURATE")


@array_gap("data-png-decode", "O", "PNG", "`tf.io.decode_png`: the same", "the same", image=_photo)
class _:
    def pytorch(image):
        return np.asarray(Image.open(io.BytesIO(_encoded(image, "PNG"))))

    def naive(image):
        return tf.io.decode_png(_encoded(image, "PNG"))

    def exact(image):
        return tf.io.decode_png(_encoded(image, "PNG"))


@array_gap(
    "data-make-grid",
    "O (figures)",
    "`make_grid(nrow=3)`: two pixels between the images and around them",
    "the images side by side",
    "`keras_blitz.data.make_grid`",
    x=_unit(6, 3, 4, 4),
)
class _:
    def pytorch(x):
        return torchvision.utils.make_grid(torch.tensor(x), nrow=3)

    def naive(x):
        return tf.concat([tf.concat(list(x[row : row + 3]), 2) for row in (0, 3)], 1)

    def exact(x):
        return data.make_grid(x.transpose(0, 2, 3, 1), nrow=3).transpose(2, 0, 1)


@array_gap(
    "data-save-image",
    "O",
    "`save_image` rounds: x·255 + 0.5",
    "`tf.cast(x·255, tf.uint8)` cuts off",
    "`keras_blitz.data.save_image`",
    x=_unit(3, 4, 4),
)
class _:
    def pytorch(x):
        file = io.BytesIO()
        torchvision.utils.save_image(torch.tensor(x), file, "PNG")
        return np.asarray(Image.open(file))

    def naive(x):
        return tf.cast(x.transpose(1, 2, 0) * 255, tf.uint8)

    def exact(x):
        with TemporaryDirectory() as folder:
            data.save_image(x.transpose(1, 2, 0), Path(folder, "x.png"))
            return np.asarray(Image.open(Path(folder, "x.png")))


@array_gap(
    "data-topilimage",
    "O",
    "`ToPILImage` cuts off: x·255",
    "`keras.utils.array_to_img` stretches the values to 0–255",
    "`(x·255).astype(np.uint8)`",
    x=_unit(3, 4, 4),
)
class _:
    def pytorch(x):
        return np.asarray(torchvision.transforms.functional.to_pil_image(torch.tensor(x)))

    def naive(x):
        return np.asarray(keras.utils.array_to_img(x.transpose(1, 2, 0)))

    def exact(x):
        return (x.transpose(1, 2, 0) * np.float32(255)).astype(np.uint8)


@array_gap(
    "data-loader-last-batch",
    "T",
    "batch normalization of a last batch of one is refused",
    "`BatchNormalization` takes it",
    "`keras_blitz.layers.BatchNorm` refuses it too",
)
class _:
    def pytorch():
        return {"refused": raised(lambda: nn.BatchNorm1d(3)(torch.ones(1, 3)))}

    def naive():
        return {"refused": raised(lambda: keras.layers.BatchNormalization()(tf.ones([1, 3]), training=True))}

    def exact():
        from keras_blitz.layers import BatchNorm

        return {"refused": raised(lambda: BatchNorm()(tf.ones([1, 3]), training=True))}


@array_gap(
    "data-loader-shuffle",
    "T",
    "`DataLoader(shuffle=True)`, `manual_seed(0)`: a permutation of all",
    "`shuffle(10)`: within a buffer of ten",
    "`keras_blitz.data.RandomSampler`, from the same seed",
)
class _:
    def pytorch():
        torch.manual_seed(0)
        return torch.cat(list(torch.utils.data.DataLoader(torch.arange(40), batch_size=8, shuffle=True)))

    def naive():
        return np.array(list(tf.data.Dataset.range(40).shuffle(10, seed=0).as_numpy_iterator()))

    def exact():
        with random.fork_rng():
            random.manual_seed(0)
            return np.concatenate(list(data.batches(40, 8, shuffle=True)))


@array_gap(
    "data-loader-rng-consumption",
    "T",
    "a DataLoader draws from the generator even without shuffling: what is drawn next is moved",
    "Keras draws nothing",
    "`keras_blitz.data.batches` draws it too",
)
class _:
    def pytorch():
        torch.manual_seed(0)
        list(torch.utils.data.DataLoader(torch.arange(4), batch_size=2))
        return torch.rand(3)

    def naive():
        return random.Generator().manual_seed(0).rand(3)

    def exact():
        with random.fork_rng():
            random.manual_seed(0)
            list(data.batches(4, 2))
            return random.rand(3)


@array_gap("data-hflip", "T", "`hflip`", "`tf.image.flip_left_right`: the same", "the same", image=_photo)
class _:
    def pytorch(image):
        return _transform("hflip", image)

    def naive(image):
        return tf.image.flip_left_right(image)

    def exact(image):
        return tf.image.flip_left_right(image)


@array_gap(
    "data-randomcrop-params",
    "T",
    "`RandomCrop(32)` after `manual_seed(0)`: its corner",
    "`np.random.RandomState(0).randint`",
    "`keras_blitz.random.randint`",
)
class _:
    def pytorch():
        torch.manual_seed(0)
        return torchvision.transforms.RandomCrop.get_params(torch.zeros(3, 40, 40), (32, 32))[:2]

    def naive():
        stream = np.random.RandomState(0)
        return [int(stream.randint(0, 9)) for _ in range(2)]

    def exact():
        stream = random.Generator().manual_seed(0)
        return [int(stream.randint(0, 9, (1,))[0]) for _ in range(2)]


@array_gap(
    "data-color",
    "O",
    "`adjust_contrast`: about the mean of the grey image",
    "`tf.image.adjust_contrast`: about the mean of each channel",
    "`keras_blitz.data.adjust_contrast`",
    x=_unit(6, 6, 3),
)
class _:
    def pytorch(x):
        return torchvision.transforms.functional.adjust_contrast(torch.tensor(x).permute(2, 0, 1), 1.5).permute(1, 2, 0)

    def naive(x):
        return tf.image.adjust_contrast(x, 1.5)

    def exact(x):
        return data.adjust_contrast(x, 1.5)


@output_gap(
    "data-onehot",
    "O",
    "`one_hot` is int64",
    "`tf.one_hot` is float32",
    "`tf.one_hot(…, dtype=tf.int64)`",
    y=lambda s: np.array([1, 0]),
)
class _:
    def pytorch(y):
        return F.one_hot(y, 3)

    def naive(y):
        return tf.one_hot(y, 3)

    def exact(y):
        return tf.one_hot(y, 3, dtype=tf.int64)


@array_gap(
    "data-embedding-int-dtype",
    "-",
    "indices of a DataLoader are int64",
    "`tf.data.Dataset` of a list of Python's whole numbers: int32",
    "an int64 array",
)
class _:
    def pytorch():
        return {"dtype": dtype(next(iter(torch.utils.data.DataLoader([1, 2]))))}

    def naive():
        return {"dtype": dtype(next(iter(tf.data.Dataset.from_tensor_slices([1, 2]))))}

    def exact():
        return {"dtype": dtype(next(iter(tf.data.Dataset.from_tensor_slices(np.array([1, 2])))))}


@array_gap(
    "data-rotate",
    "O",
    "`rotate(30)`: anticlockwise, the nearest pixel, zeros outside",
    "`RandomRotation((30/360, 30/360))`: interpolated, reflected outside",
    "`keras_blitz.data.rotate`",
    x=(9, 12, 3),
)
class _:
    def pytorch(x):
        return torchvision.transforms.functional.rotate(torch.tensor(x).permute(2, 0, 1), 30).permute(1, 2, 0)

    def naive(x):
        with precision("float32"):
            layer = keras.layers.RandomRotation((30 / 360, 30 / 360))
            return tf.cast(layer(x[None].astype(np.float32), training=True)[0], tf.float64)

    def exact(x):
        return data.rotate(x, 30)


def _in_folders(read):
    """Return what `read` makes of a folder with eight images in two classes."""
    with TemporaryDirectory() as folder:
        for i in range(8):
            place = Path(folder, "ab"[i % 2])
            place.mkdir(exist_ok=True)
            Image.fromarray(np.full((4, 4, 3), 30 * i, np.uint8)).save(place / f"{i}.png")
        return read(folder)


def _read_by_keras(folder, **options):
    images = keras.utils.image_dataset_from_directory(folder, image_size=(4, 4), verbose=False, **options)
    return np.concatenate([batch[:, 0, 0, 0] for batch, _ in images])


@array_gap(
    "data-imagefolder-order",
    "T",
    "`ImageFolder`: classes by name, files by path",
    "`image_dataset_from_directory` shuffles",
    "shuffle=False",
)
class _:
    def pytorch():
        def read(folder):
            return np.array([np.asarray(image)[0, 0, 0] for image, _ in torchvision.datasets.ImageFolder(folder)])

        return _in_folders(read).astype(np.float32)

    def naive():
        return _in_folders(lambda folder: _read_by_keras(folder, seed=1))

    def exact():
        return _in_folders(lambda folder: _read_by_keras(folder, shuffle=False))
