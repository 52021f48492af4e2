"""PyTorch before TensorFlow, which cannot be loaded in the other order; and what several tests share."""

import gc
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

TORCH = find_spec("torch") is not None

needs_torch = pytest.mark.skipif(not TORCH, reason="needs PyTorch: pip install 'keras-blitz[torch]'")


# The files that take longest, longest first: they start first, and so no process is left alone with one at the end.
LONGEST = (
    "test_parity.py", "test_install.py", "test_training.py", "test_initializers.py", "test_optim.py",
    "test_training_scripts.py", "test_finetune_resnet18.py", "test_models.py", "test_export.py", "test_mutants.py",
    "test_faults.py", "test_training_cases.py", "test_gaps.py", "test_blitz_tensors.py",
    "test_pairs.py", "test_apart.py", "test_convert.py", "test_robust.py",
)  # fmt: skip


# Tests that take long and whose kind others show, too: slow, so that the default run stays under five minutes.
SLOW = frozenset(
    {
        "test_ctrl_c_ends_cases_that_run_side_by_side",
        "test_truth_gives_two_float32_traces_a_verdict",
        "test_a_run_interrupted_before_its_first_result_keeps_yesterdays_reports",
        "test_two_runs_at_once_write_one_whole_report",
        "test_dense_layers_are_compiled_and_it_is_the_same_run",
        "test_a_layer_runs_compiled_and_gives_the_same",
        "test_layer_runs_compiled_and_gives_the_same",
        "test_inside_a_compiled_step",
        "test_under_xla",
        "test_compiled",
        "test_as_pytorch_in_a_compiled_step_with_the_rate_changed_midway",
        "test_the_three_ways_end_with_the_same_head",
        "test_slots_a_changed_rate_and_clipping_are_recorded_on_both_sides",
        "test_the_plain_rules_pass_the_golden_cases",
        "test_inception_without_its_auxiliary_head_leaves_those_weights",
        "test_conv2d_whose_gradient_goes_by_rows",
        "test_fail_fast_side_by_side_stops_at_the_failure",
        "test_the_runs_of_a_wrong_port_are_bounded",
        "test_a_run_of_300_cases_is_a_page_of_moderate_size",
        "test_batch_norm_1d",
        "test_batch_norm",
        "test_graphs_follow_the_choice_and_not_tensorflows_threads",
        "test_a_heavy_case_has_the_same_verdict_apart",
        "test_ctrl_c_ends_cleanly_and_at_once",
        "test_without_matplotlib_the_plot_is_left_out",
        "test_precision_leaves_no_float64_default_behind",
        "test_side_by_side_is_the_same_report",
        "test_dropout_draws_pytorchs_masks",
        "test_a1_against_pytorch",
        "test_a_case_that_kills_its_process_fails_alone",
        "test_command_says_what_it_wrote",
        "test_adaptive_max_pool2d",
        "test_list_that_grows_is_one_loop",
    }
)
# Of these, each with several parameters, the default run has the first alone.
FIRST_ALONE = frozenset(
    {
        "test_run_is_pytorchs_from_the_same_seed",
        "test_fit_saved_and_loaded_goes_on_to_the_bit",
        "test_continued_run_is_the_uninterrupted_one",
        "test_a_batch_cut_into_shards_is_the_same_run",
        "test_a_dropout_inside_a_recurrent_keras_layer_is_named_in_train_mode",
        "test_the_users_model_is_what_it_was_after_an_exception",
        "test_dropout_of_channels_is_one_with_a_noise_shape",
        "test_a_dropout_inside_a_module_of_pytorch_that_keras_lacks_is_named",
        "test_there_and_back_every_bit_is_kept",
        "test_ctrl_c_keeps_what_is_done_and_leaves_no_part",
        "test_the_dropout_between_stacked_recurrent_layers",
        "test_what_is_fast_can_be_switched_off_and_it_is_the_same_run",
        "test_a_right_port_in_another_form_agrees_and_a_wrong_one_does_not",
        "test_a_random_keras_layer_without_a_counterpart_is_named_in_train_mode",
        "test_regularizers_beside_an_own_compute_loss_are_weight_decay",
        "test_the_users_model_is_bit_for_bit_what_it_was",
        "test_what_was_set_is_carried_over_and_decides",
        "test_a_borrowed_model_is_put_back_as_it_was",
    }
)


def pytest_configure(config):
    """Load the frameworks, in 5 s of CPU; the process that only hands tests out to workers goes without."""
    if config.getoption("tx", None) and not hasattr(config, "workerinput"):
        return
    if TORCH:
        import torch

        # Of small tensors, where other work keeps the cores busy, its threads wait for each other: 60 steps of a small
        # convolution took 0.03 s of CPU with one thread, 0.8 to 2 s with two.
        torch.set_num_threads(1)

    from keras_blitz.quiet import import_tensorflow

    import_tensorflow()


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Put the longest files first, skip what is marked `torch` where there is none, and mark what is slow."""
    started = set()
    for item in items:
        name = getattr(item, "originalname", item.name)
        if name in SLOW or (name in FIRST_ALONE and (item.path, name) in started):
            item.add_marker(pytest.mark.slow)
        started.add((item.path, name))
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(needs_torch)


def pytest_collection_finish():
    """Keep the frameworks and the collected tests out of the cases' garbage collections, 0.2 s each."""
    gc.freeze()


@pytest.fixture
def lenet():
    """A Keras LeNet with Keras's own random weights."""
    import keras

    from keras_blitz.models import LeNet

    keras.utils.set_random_seed(1)
    return LeNet()


@pytest.fixture
def downloads():
    """The folder that torchvision has downloaded data sets to; the one place where tests read outside the project."""
    folder = os.environ.get("BLITZ_TEST_DATA")
    if not folder:
        pytest.skip("needs BLITZ_TEST_DATA, the folder that torchvision has downloaded data sets to (its root=)")
    return Path(folder).expanduser()
