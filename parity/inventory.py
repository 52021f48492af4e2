"""The inventory: everything that is ported, by id, with the evidence for it.

python -m parity.inventory > docs/inventory.md     writes the page

A parity case names the ids it covers itself (`Case.covers`). The tests and scripts are listed here, because a wheel has
none of them; each test carries the same id as `@pytest.mark.covers("W1")`, and a test holds the two to each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

SECTIONS = {
    "N": "Networks",
    "W": "Weights",
    "A": "Autograd demos",
    "T": "Tensor operations",
    "R": "Random numbers, seed for seed",
    "L": "Layers, losses, initial values",
    "O": "Optimizers and schedules",
    "D": "Data",
    "S": "Scripts",
    "H": "The harness",
}

NOT_BUILT = "not built yet"


@dataclass(frozen=True)
class Item:
    """One row of the inventory.

    Args:
        id: a letter of `SECTIONS` and a number.
        what: what was ported, in Markdown.
        evidence: the tests (`path`, or `path::function`) and scripts that show it, apart from the cases.
        built: False for what is planned and has no evidence yet.
    """

    id: str
    what: str
    evidence: tuple[str, ...] = ()
    built: bool = True


_AUTOGRAD = "tests/library/test_autograd.py"
_CHECK = "tests/harness/test_check.py"
_CLI = "tests/harness/test_cli.py"
_COMPARE = "tests/harness/test_compare.py"
_CONVERT = "tests/library/test_convert.py"
_CHECKPOINTS = "tests/library/test_checkpoints.py"
_DATA = "tests/library/test_data.py"
_DATASETS = "tests/library/test_datasets.py"
_INITIALIZERS = "tests/library/test_initializers.py"
_LESSON_OF_TENSORS = (
    "scripts/blitz_tensors.py",
    "tests/lessons/test_blitz_tensors.py::test_every_table_is_there",
    "tests/lessons/test_blitz_tensors.py::test_the_lesson_runs_from_top_to_bottom",
)
_MAPPING = "tests/library/test_mapping.py"
_MUTANTS = "tests/harness/test_mutants.py"
_OPS = (*_LESSON_OF_TENSORS, "tests/library/test_ops.py", "tests/library/test_ops_numpy.py")
_RANDOM = "tests/library/test_random.py"
_TRAINING = "tests/library/test_training.py"
_DRY_RUN = "tests/lessons/test_training_scripts.py::test_dry_run"

ITEMS = (
    Item("N1", "LeNet, the blitz's `Net`: 1×32×32 images, two 5×5 convolutions (6, 16) with ReLU and pooling, dense "
         "layers of 120, 84 and 10; 61,706 values"),
    Item("N2", "the blitz's CIFAR-10 `Net`: N1 on 3×32×32 images, one pooling layer called twice; 62,006 values"),
    Item("N3", "the basics tutorial's MLP on 28×28 images: dense layers of 512, 512 and 10; `last_relu=True` is the "
         "earlier edition, which has a ReLU after the last layer too; 669,706 values"),
    Item("N4", "the MNIST CNN, `Network2`: two 5×5 convolutions (6, 12), dense layers of 120, 60 and 10"),
    Item("N5", "the stages that lead to N4: `Network0` (a placeholder layer, returns its input) and `Network1` (N4's "
         "layers, still returns its input), with their printed structure and named parameters"),
    Item("N6", "torchvision's ResNet 18, 34, 50, 101 and 152"),
    Item("N7", "torchvision's VGG 11, 13, 16 and 19, each plain and with BatchNorm"),
    Item("N8", "torchvision's AlexNet"),
    Item("N9", "torchvision's Inception v3, with and without the auxiliary head, and its `transform_input`"),
    Item("W1", "a PyTorch `state_dict` into a Keras model and out of it, bit for bit, parameters and buffers",
         (f"{_MAPPING}::test_round_trip_is_bit_exact", f"{_CONVERT}::test_there_and_back_gives_the_same_bytes",
          f"{_MAPPING}::test_a_count_of_batches_that_keras_does_not_have_is_left_out",
          "tests/library/test_stock_layers.py", "tests/library/test_every_keras_layer.py",
          "tests/library/test_paths.py",
          "tests/library/test_blocks.py")),
    Item("W2", "files: `.safetensors`; `.pth` and `.pt` read with `weights_only=True`, so that a pickle that would run "
         "code is refused; shards; `.keras` and `.weights.h5`",
         (f"{_CONVERT}::test_there_and_back_gives_the_same_bytes",
          f"{_CONVERT}::test_pth_there_and_back_gives_the_same_bytes",
          f"{_CONVERT}::test_malicious_pickle_is_refused_and_not_run", "tests/library/test_damaged_files.py",
          _CHECKPOINTS)),
    Item("W3", "prefixes (`module.`, `backbone.`), a wrapped dictionary, a replaced head; all missing, surplus and "
         "wrongly shaped keys listed by name in one error",
         (f"{_MAPPING}::test_known_prefixes_are_dropped", f"{_MAPPING}::test_wrapped_dictionary_is_unwrapped",
          f"{_MAPPING}::test_replaced_head_is_left_as_it_is",
          f"{_MAPPING}::test_everything_that_does_not_fit_is_in_one_error_and_nothing_is_changed", _CHECKPOINTS)),
    Item("W4", "the first dense kernel after a flatten, permuted between PyTorch's C,H,W order and the H,W,C order of "
         "a channels-last model",
         (f"{_MAPPING}::test_the_first_dense_kernel_is_permuted_not_copied",
          "tests/library/test_layout.py::test_dense_kernel_behind_a_flatten_undoes_the_flatten",
          "tests/library/test_flattened_inputs.py")),
    Item("W5", '`weights="imagenet"`: torchvision\'s checkpoint from a local path, from torch.hub\'s cache or by '
         "download; if it is not available, one error says what to do",
         ("tests/library/test_pretrained.py",)),
    Item("A1", "ResNet18 on a 1×3×64×64 input: forward, `loss = (prediction - labels).sum()`, backward, one step of "
         "SGD", (_AUTOGRAD,)),
    Item("A2", "Q = 3a³ − b² with an external gradient: a.grad = 9a², b.grad = −2b", (_AUTOGRAD,)),
    Item("A3", "the same through `Q.sum()`", (_AUTOGRAD,)),
    Item("A4", "vector-Jacobian, Jacobian-vector and Hessian-vector products against the whole matrices", (_AUTOGRAD,)),
    Item("A5", "the graph of recorded operations, drawn and as text", (_AUTOGRAD,)),
    Item("A6", "control flow that depends on the data: gradients follow the branch taken", (_AUTOGRAD,)),
    Item("A7", "`requires_grad` of a result: true if any input has it", (_AUTOGRAD,)),
    Item("A8", "a frozen ResNet18 with a new head, the only part that is trained: absent gradients, BatchNorm's "
         "statistics in both modes", (_AUTOGRAD,)),
    Item("A9", "z = x·w + b with binary cross entropy: gradients of w and b, the functions that computed z and the "
         "loss", (_AUTOGRAD,)),
    Item("A10", "`no_grad`, `detach`, `requires_grad_`, `set_grad_enabled`", (_AUTOGRAD,)),
    Item("A11", "out = (inp + 1)², backward twice: gradients add up until they are zeroed", (_AUTOGRAD,)),
    Item("A12", "k small batches give the gradient of one large batch; the effect of not zeroing them", (_AUTOGRAD,)),
    Item("A13", "N1: backward with a random gradient, squared error, SGD written by hand", (_AUTOGRAD,)),
    Item("A14", "scalar and non-scalar backward, intermediate gradients, leaves, hooks", (_AUTOGRAD,)),
    Item("A15", "backpropagation of a two-layer network written by hand in NumPy", (_AUTOGRAD,)),
    Item("T1", "NumPy: creation and random numbers", _LESSON_OF_TENSORS),
    Item("T2", "NumPy: access and shape", _LESSON_OF_TENSORS),
    Item("T3", "NumPy: joining and splitting", _LESSON_OF_TENSORS),
    Item("T4", "NumPy: arithmetic, broadcasting, statistics", _LESSON_OF_TENSORS),
    Item("T5", "mini-batches from an array, the last one smaller", _LESSON_OF_TENSORS),
    Item("T6", "creation of tensors: inferred and default dtype, shared memory or a copy", _OPS),
    Item("T7", "shape: size, view, reshape, squeeze, permute", _OPS),
    Item("T8", "selection: index_select, gather, scatter, masked_select, nonzero", _OPS),
    Item("T9", "element-wise functions, and the replacements of the in-place forms with an underscore", _OPS),
    Item("T10", "reductions with `dim` and `keepdim`", _OPS),
    Item("T11", "comparison: eq to ne, max and min with indices, topk", _OPS),
    Item("T12", "linear algebra: dot, mm, bmm, mv, t, svd", _OPS),
    Item("T13", "the table of names: NumPy's, PyTorch's, TensorFlow's", _OPS),
    Item("T14", "PyTorch's most used functions beyond the tutorials': trigonometric, exponential and special ones, "
         "rounding, truth and bits, reductions, orders, indices and scattering, running extremes, rearranging, joining "
         "and cutting, triangles, products", ("tests/library/test_more_ops.py",)),
    Item("R1", "PyTorch's generator: rand, randn, randint, randperm, bernoulli, bit for bit (float32 randn included)",
         (_RANDOM,)),
    Item("R2", "PyTorch's initial values from the same seed, bit for bit: N1–N5 and torchvision's families",
         (_INITIALIZERS,)),
    Item("R3", "the order of `DataLoader(shuffle=True)` in every epoch; `random_split`, `RandomSampler`", (_RANDOM,)),
    Item("R4", "the masks of dropout and dropout2d", (_RANDOM,)),
    Item("R5", "a whole run: the same seed and data give PyTorch's losses to rounding, until float32 becomes chaotic",
         (f"{_TRAINING}::test_run_is_pytorchs_from_the_same_seed",)),
    Item("L1", "layers with PyTorch's semantics: convolution, pooling, adaptive pooling, BatchNorm, dropout through a "
         "given mask", ("tests/library/test_layers.py",)),
    Item("L2", "CrossEntropyLoss, NLLLoss, MSELoss, BCELoss, BCEWithLogitsLoss with all their options",
         ("tests/library/test_losses.py",)),
    Item("L3", "the distribution of default initial values: PyTorch's uniform bounds, torchvision's fan-out",
         (_INITIALIZERS,)),
    Item("L4", "the other losses of torch.nn with every reduction and weight: L1Loss, SmoothL1Loss, HuberLoss, "
         "KLDivLoss, PoissonNLLLoss, GaussianNLLLoss, HingeEmbeddingLoss, SoftMarginLoss, MultiLabelMarginLoss, "
         "MultiLabelSoftMarginLoss, MultiMarginLoss, MarginRankingLoss, CosineEmbeddingLoss, TripletMarginLoss, "
         "TripletMarginWithDistanceLoss, CTCLoss", ("tests/library/test_more_losses.py",)),
    Item("L5", "the other layers of torch.nn, each against PyTorch in float64, outputs and all gradients, compiled and "
         "reloaded: normalization, recurrent, convolution, resampling, sampling at any places, pooling, attention, "
         "embedding, activations, padding, dropout, rearranging",
         (*(f"tests/library/test_{of}.py"
            for of in ("norms", "recurrent", "convolutions", "upsample", "sampling", "pooling", "attention",
                       "embedding", "small_layers", "layer_forms")),
          "tests/harness/test_check_own_layers.py")),
    Item("L6", "a table of every public class of torch.nn, the functional losses, torch.optim and its schedules: "
         "Keras's own is exact, ours, or not offered and why", ("tests/library/test_torch_table.py",)),
    Item("O1", "SGD, Adagrad, RMSprop, Adam, AdamW, Adadelta and more by PyTorch's update, slots included",
         ("tests/library/test_optim.py",)),
    Item("O2", "a learning rate changed in mid-training, parameter groups, frozen groups; a new optimizer's new slots",
         ("tests/library/test_optim.py",)),
    Item("O3", "learning-rate schedules; clipping by norm and by value",
         ("tests/library/test_schedules.py", "tests/library/test_clipping.py")),
    Item("O4", "the other schedules of torch.optim.lr_scheduler: constant, linear, polynomial, cyclic, warm restarts, "
         "a function or a factor of the epoch; one after the other (SequentialLR), all at once (ChainedScheduler)",
         ("tests/library/test_schedules.py",)),
    Item("O5", "ASGD, Rprop, SparseAdam on the rows of an embedding, Adafactor by PyTorch's rows and columns; the norm "
         "of all gradients clipped in `fit`", ("tests/library/test_optim.py", "tests/library/test_optim_layouts.py")),
    Item("O6", "averages of weights: SWA, EMA, the running statistics after them, SWALR",
         ("tests/library/test_averaging.py",)),
    Item("D1", "CIFAR-10, MNIST and Fashion-MNIST through tensorflow-datasets, downloaded with `--download`",
         (f"{_DATASETS}::test_tfds_itself_reads_it",
          f"{_DATASETS}::test_missing_data_names_the_place_and_the_command")),
    Item("D2", "the files that a PyTorch user has on disk (idx files, CIFAR batches, folders or a zip of images), "
         "prepared for tensorflow-datasets",
         ("scripts/prepare_data.py", f"{_DATASETS}::test_mnist_is_read_back_in_its_own_order",
          f"{_DATASETS}::test_cifar_is_read_back", f"{_DATASETS}::test_folders_of_images")),
    Item("D3", "a small sample of real Fashion-MNIST images in the package, used if no data set is prepared",
         (f"{_DATA}::test_sample_is_real_and_balanced", f"{_DATASETS}::test_sample_stands_in")),
    Item("D4", "transforms: ToTensor, Normalize, Resize, crops, flips; make_grid and save_image",
         (f"{_DATA}::test_to_tensor_and_normalize_are_pytorchs_bits",
          f"{_DATA}::test_resize_of_bytes_is_torchvisions_of_a_pil_image_bit_for_bit", "tests/library/test_crops.py")),
    Item("D5", "the DataLoader's batches: batch size, order, `drop_last`, samplers, `random_split`",
         (f"{_RANDOM}::test_sampler_of_its_own_is_taken_in_its_order",)),
    Item("D6", "torchvision's further transforms, uint8 as of PIL images and numbers as of tensors, with its draws "
         "from the seed: Resize of all kinds, RandomResizedCrop, ColorJitter, RandomRotation, Grayscale, Pad, "
         "RandomErasing, GaussianBlur, ToDtype", ("tests/library/test_transforms.py",)),
    Item("S1", "CIFAR-10: batch 4, SGD 0.001 with momentum 0.9, two epochs; accuracy in all and by class",
         ("scripts/train_cifar10.py", _DRY_RUN)),
    Item("S2", "Fashion-MNIST with N3: batch 64, SGD 0.001, ten epochs; test accuracy and average loss",
         ("scripts/train_fashion_mnist.py", _DRY_RUN)),
    Item("S3", "MNIST with N4: batch 100, SGD 0.1, ten epochs; untrained predictions first",
         ("scripts/train_mnist.py", _DRY_RUN)),
    Item("S4", "ResNet18 with frozen layers and a new head of ten classes",
         ("scripts/finetune_resnet18.py", "tests/lessons/test_finetune_resnet18.py")),
    Item("S5", "VGG16: its structure, weights and whole model saved and loaded, eval mode, ONNX in onnxruntime",
         ("scripts/vgg16_export.py", "tests/lessons/test_export_and_tensorboard.py::test_vgg16_lesson",
          "tests/library/test_export.py")),
    Item("S6", "TensorBoard: scalars, images, figures, histograms, text, a graph, an embedding, precision and recall, "
         "audio",
         ("scripts/tensorboard_tour.py",
          "tests/lessons/test_export_and_tensorboard.py::test_every_kind_of_summary_is_in_the_logs")),
    Item("S7", "training in several processes (`tf.distribute.MultiWorkerMirroredStrategy`), equal to one process with "
         "the same global batch, and to PyTorch's DistributedDataParallel",
         ("scripts/bench_distributed.py", "scripts/finetune_resnet18.py", "tests/library/test_cluster.py",
          "tests/library/test_distributed.py", "tests/library/test_distributed_fit.py",
          "tests/library/test_launcher.py")),
    Item("H1", "outputs, activations, loss, gradients of inputs and weights in one trace",
         ("tests/harness/test_parity.py::test_the_live_run_compares_over_a_thousand_tensors_of_every_kind",
          "tests/harness/test_recorders.py")),
    Item("H2", "BatchNorm's buffers after steps in train mode; train mode and eval mode"),
    Item("H3", "optimizer slots, parameters and loss after each of k steps, also across a change of the learning rate"),
    Item("H4", "dropout compared through the same mask",
         (f"{_CHECK}::test_training_with_a_loss_an_optimizer_and_dropout", "tests/harness/test_shared_draws.py")),
    Item("H5", "frozen layers: absent gradients, buffers that move or stand still"),
    Item("H6", "float64 agreement as the proof; float32 judged by the float64 truth and PyTorch's own error",
         (f"{_COMPARE}::test_float64_bound_is_relative_to_the_largest_magnitude",
          f"{_COMPARE}::test_float32_is_judged_by_pytorchs_own_error")),
    Item("H7", "the first divergence named; each layer on its own, given PyTorch's input",
         (f"{_COMPARE}::test_first_divergence_walks_forward_then_gradients_backwards_then_steps",
          f"{_MUTANTS}::test_mistake_fails_at_the_right_tensor_on_the_screen",
          f"{_MUTANTS}::test_isolation_names_the_layer_that_is_wrong_by_itself")),
    Item("H8", "a catalogue of planted porting mistakes, each caught and located; survivors listed",
         ("tests/harness/test_faults.py", "tests/harness/test_door.py", "tests/harness/test_translator_faults.py")),
    Item("H9", "a warning for agreement that proves nothing", ("tests/harness/test_vacuous.py",)),
    Item("H10", "golden traces: the harness runs without PyTorch",
         (f"{_CLI}::test_without_torch_the_goldens_are_read", "tests/harness/test_parity.py::test_golden",
          "tests/harness/test_parity.py::test_golden_trace_is_what_pytorch_does_today", "tests/test_install.py")),
    Item("H11", "reports as JSON, JUnit XML, a table in the terminal, one HTML file with plots",
         (f"{_CLI}::test_json_has_the_contracts_keys", f"{_CLI}::test_junit_names_every_case",
          f"{_CLI}::test_table_has_a_line_a_subject_and_dtype", "tests/harness/test_html_report.py")),
    Item("H12", "your own pair of models compared in one call, weights paired, unpaired weights listed",
         (_CHECK, *(f"tests/harness/test_{of}.py"
                    for of in ("pairing", "following", "fits", "forms", "projections", "wiring", "layouts", "copies",
                               "proof", "hints", "hints_in_check",
                               "hints_of_losses", "verdicts", "check_forms_of_models",
                               "random_models", "check_training", "reduced_precision", "meeting", "pairs",
                               "pairing_kinds", "byhand", "arguments", "feeding", "widened", "what_values_tell",
                               "public_ports", "random_pairs", "between", "odd_outputs")),
          "tests/library/test_kinds.py")),
    Item("H13", "a pytest plugin: a fixture, and an assertion with the full report",
         (f"{_CHECK}::test_the_fixture_fails_a_test_with_the_report_and_writes_the_page",)),
    Item("H14", "the catalogue of semantic differences, measured: the error of the naive port next to that of the "
         "exact one", ("tests/harness/test_gaps.py",)),
    Item("H15", "a two-way, bit-exact map of weights that includes the permutation after a flatten",
         (f"{_MAPPING}::test_round_trip_is_bit_exact",
          f"{_MAPPING}::test_the_first_dense_kernel_is_permuted_not_copied",
          "tests/library/test_flattened_inputs.py")),
    Item("H16", "a PyTorch module's weights copied into your own Keras model, or back, with proof",
         ("tests/harness/test_transfer.py", "tests/harness/test_filled.py", "tests/harness/test_transfer_pairs.py")),
    Item("H17", "a PyTorch module compared with an exported file of its port: ONNX, TFLite in float32 and 8 bits, "
         "SavedModel", ("tests/harness/test_exported.py",)),
)  # fmt: skip

_HEAD = """\
# Inventory

Everything that is ported has an id. A row gives the meaning of the id and its evidence: parity cases
(`parity run N1` runs them, `parity list` names them), tests and scripts. A test checks that each link exists and that
each id has evidence, unless it is marked "{not_built}".

`python -m parity.inventory > docs/inventory.md` writes this page from `parity/inventory.py` and the table of cases.
"""


def covered_by_cases() -> dict[str, bool]:
    """Return the ids that cases cover; True where a plain `parity run` runs one of them, False where all are slow."""
    from parity.suite.select import all_cases

    covered: dict[str, bool] = {}
    for case in all_cases():
        for id in case.covers:
            covered[id] = covered.get(id, False) or not case.slow
    return covered


def without_cases() -> list[Item]:
    """Return what no case covers: tests and scripts are its only evidence."""
    covered = covered_by_cases()
    return [item for item in ITEMS if item.id not in covered]


def listing() -> Iterator[tuple[str, str]]:
    """Yield (id, evidence) for each piece of evidence of what no case covers."""
    for item in without_cases():
        for evidence in item.evidence or (NOT_BUILT,):
            yield item.id, evidence


def page() -> str:
    """Return docs/inventory.md."""
    covered = covered_by_cases()
    parts = [_HEAD.format(not_built=NOT_BUILT)]
    for letter, items in groupby(ITEMS, key=lambda item: item.id[0]):
        rows = [f"| {item.id} | {item.what} | {_evidence(item, covered)} |\n" for item in items]
        parts.append(f"## {letter}. {SECTIONS[letter]}\n\n| id | what | evidence |\n|---|---|---|\n{''.join(rows)}")
    return "\n".join(parts)


def _evidence(item: Item, covered: dict[str, bool]) -> str:
    commands = [f"`parity run {item.id}{'' if covered[item.id] else ' --slow'}`"] if item.id in covered else []
    links = [f"[{path.rsplit('/', 1)[1]}](../{path.split('::')[0]})" for path in item.evidence]
    return ", ".join([*commands, *links]) or NOT_BUILT


if __name__ == "__main__":
    print(page(), end="")
