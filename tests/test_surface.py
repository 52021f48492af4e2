"""The public names of both packages. Whoever adds, renames or removes one changes this table and the changelog."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import keras_blitz

ROOT = Path(__file__).parents[1]

# package or module -> its public names
SURFACE = {
    "keras_blitz": """
        CheckpointError __version__ autograd convert data errors export initializers layers load_checkpoint load_model
        load_state_dict losses manual_seed models named_parameters ops optim precision random speed state_dict
        training weights
    """,
    "keras_blitz.autograd": "Gradients Node OperationGraph Recording detach hook hvp jacobian jvp trace vjp",
    "keras_blitz.autograd.demos": """
        DEMOS a10_switches a11_backward_twice a12_small_batches a13_lenet_step a14_scalars_and_leaves
        a15_two_layers_by_hand a1_resnet_step a2_powers a3_powers_summed a4_products a5_graph a6_control_flow
        a7_propagation a8_frozen_resnet a9_logits
    """,
    "keras_blitz.convert": "Conversion convert",
    "keras_blitz.data": """
        CLASSES ColorJitter Compose DistributedSampler GaussianBlur Grayscale ImageData Pad RandomCrop
        RandomErasing RandomGrayscale RandomHorizontalFlip RandomResizedCrop RandomRotation RandomSampler
        RandomVerticalFlip Split ToDtype ToImage adjust_brightness adjust_contrast adjust_hue adjust_saturation
        batches center_crop find_prepared fit_to gaussian_blur load load_or_sample load_sample make_grid
        normalize pad prepare random_split resize rgb_to_grayscale rotate save_image to_dtype to_image to_tensor
    """,
    "keras_blitz.data.sample": "CLASSES load_sample",
    "keras_blitz.errors": "BlitzError CheckpointError one_line",
    "keras_blitz.export": "Exported export_onnx export_tflite open_exported run_onnx save_saved_model",
    "keras_blitz.initializers": "Normal fan_in_uniform initialize kaiming_fan_out skip_init",
    "keras_blitz.layers": """
        AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d
        AdaptiveMaxPool3d AffineGrid AlphaDropout AvgPool1d AvgPool2d AvgPool3d BatchNorm Bilinear CELU ChannelShuffle
        CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d
        ConvTranspose1d ConvTranspose2d ConvTranspose3d CosineSimilarity Criterion Dropout Dropout1d Dropout2d
        Dropout3d DynamicConv1d DynamicConv2d DynamicConv3d DynamicConvTranspose1d DynamicConvTranspose2d
        DynamicConvTranspose3d
        ELU Embedding EmbeddingBag FeatureAlphaDropout Fold Function GELU GRU GRUCell GridSample
        GroupNorm
        Hardsigmoid Hardtanh InstanceNorm LPPool1d LPPool2d LPPool3d LSTM LSTMCell LayerNorm LeakyReLU LocalResponseNorm
        MaxPool1d MaxPool2d MaxPool3d MultiheadAttention PReLU PairwiseDistance Parameter PixelShuffle
        PixelUnshuffle RMSNorm RNN RNNCell RReLU ReflectionPad1d ReflectionPad2d ReflectionPad3d RepeatBatch
        ReplicationPad1d ReplicationPad2d ReplicationPad3d SELU Softplus StochasticDepth Unfold Upsample VectorNorm
        ZeroPad1d ZeroPad2d ZeroPad3d affine_grid convert_sync_batchnorm grid_sample interpolate
        scaled_dot_product_attention
    """,
    "keras_blitz.losses": """
        BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss
        HuberLoss KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss
        MultiMarginLoss NLLLoss PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss
        TripletMarginWithDistanceLoss
    """,
    "keras_blitz.models": """
        AlexNet CifarNet InceptionV3 LeNet NETWORKS Network0 Network1 Network2 NeuralNetwork ResNet VGG build head
        load_model register
    """,
    "keras_blitz.ops": """
        AMinMax Reduced SVD Tensor abs abs_ acos acosh add add_ addbmm addcdiv addcdiv_ addcmul addcmul_ addmm
        addmv addr all allclose amax amin aminmax any arange argmax argmin argsort argwhere asin asinh atan
        atan2 atanh atleast_1d atleast_2d atleast_3d baddbmm bincount bitwise_and bitwise_left_shift bitwise_not
        bitwise_or bitwise_right_shift bitwise_xor block_diag bmm broadcast_tensors broadcast_to bucketize
        cartesian_prod cat cdist ceil ceil_ chunk clamp clamp_ clone column_stack combinations contiguous
        copysign corrcoef cos cosh count_nonzero cov cross cummax cummin cumprod cumsum cumulative_trapezoid
        deg2rad diag diag_embed diagonal diff digamma dim dist div div_ dot dstack einsum empty_like eq equal
        erf erfc erfinv exp exp2 exp_ expand expm1 eye flatten flip fliplr flipud float_power floor floor_
        floor_divide fmax fmin fmod frac from_numpy full full_like gather gcd ge gt heaviside histc hstack hypot
        index_add index_copy index_fill index_put index_select inner isclose isfinite isin isinf isnan isneginf
        isposinf item kron kthvalue lcm le lerp lgamma linspace log log10 log1p log2 log_ log_softmax logaddexp
        logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logit logspace logsumexp lt
        masked_fill masked_scatter masked_select matmul max maximum mean median meshgrid min minimum mm mode
        movedim msort mul mul_ mv nan_to_num nanmean nanmedian nanquantile nansum narrow ne neg neg_ nonzero
        norm numel one_hot ones ones_like outer permute polygamma positive pow pow_ prod promote quantile
        rad2deg rand randn ravel reciprocal remainder renorm repeat repeat_interleave reshape resize result_type
        roll rot90 round rsqrt scatter scatter_add scatter_reduce searchsorted select sgn sigmoid sigmoid_ sign
        sign_ signbit sin sinc sinh size softmax sort split sqrt sqrt_ square squeeze stack std std_mean sub
        sub_ sum svd swapaxes t take take_along_dim tan tanh tanh_ tensor tensor_split tensordot tile topk trace
        transpose trapezoid tril tril_indices triu triu_indices trunc unbind unflatten unfold unique
        unique_consecutive unsqueeze vander var var_mean view vstack where xlogy zeros zeros_like
    """,
    "keras_blitz.optim": """
        ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax AveragedModel NAdam RAdam RMSprop Rprop SGD SparseAdam
        clip_grad_norm_ clip_grad_value_ schedules update_bn
    """,
    "keras_blitz.optim.schedules": """
        ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LambdaLR
        LinearLR MultiStepLR MultiplicativeLR OneCycleLR PolynomialLR RateTable ReduceLROnPlateau SWALR SequentialLR
        StepLR
    """,
    "keras_blitz.random": """
        Generator bernoulli default_generator dropout2d_mask dropout_mask fork_rng get_state initial_seed manual_seed
        normal rand randint randn randperm seed set_state uniform
    """,
    "keras_blitz.training": "",
    "keras_blitz.weights": """
        load_checkpoint load_state_dict named_parameters read_state state_dict weights write_model write_state
    """,
    "parity": "__version__ assert_equivalent check check_export transfer translate translates",
}


@pytest.mark.parametrize("name", SURFACE)
def test_public_names(name):
    module = import_module(name)
    assert sorted(getattr(module, "__all__", [])) == sorted(SURFACE[name].split())
    for public in SURFACE[name].split():
        assert getattr(module, public) is not None


def test_no_package_is_left_out():
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "keras_blitz").rglob("__init__.py")}
    assert folders <= set(SURFACE)
    inside = {name.split(".")[1] for name in SURFACE if name.startswith("keras_blitz.")}
    assert inside <= set(keras_blitz.__all__)


@pytest.mark.parametrize("name", [name for name in keras_blitz.__all__ if name != "__version__"])
def test_name_is_had_without_importing_its_module_first(name):
    assert keras_blitz.__getattr__(name) is getattr(keras_blitz, name)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nets'"):
        _ = keras_blitz.nets


def test_type_checkers_see_every_name():
    tree = ast.parse((ROOT / "keras_blitz" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for statement in block.body for alias in statement.names}
    assert {*seen, "__version__"} == set(keras_blitz.__all__)


def test_readme_names_what_there_is():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\bkeras_blitz\.(\w+)|from keras_blitz import (\w+)", readme))
    assert {first or second for first, second in named} <= set(keras_blitz.__all__)


@pytest.mark.parametrize("package", ["keras_blitz", "parity"])
def test_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("name", ["keras_blitz", "keras_blitz.models", "keras_blitz.ops", "parity"])
def test_listing_names_imports_no_framework(name):
    code = (
        f"import sys, {name} as module; assert set(module.__all__) <= set(dir(module)), dir(module)\n"
        "print([m for m in ('tensorflow', 'keras', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
