"""S7: who trains together, read from TF_CONFIG and SLURM's variables; PyTorch's DistributedSampler; the flags."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from keras_blitz.data import DistributedSampler
from keras_blitz.errors import BlitzError
from keras_blitz.training.cluster import (
    Cluster,
    expand_counts,
    expand_hosts,
    find_cluster,
    meet,
    parse_tf_config,
)
from keras_blitz.training.command import check_flags
from keras_blitz.training.launcher import local_clusters

pytestmark = pytest.mark.covers("S7")

TWO = ["10.0.0.1:2222", "10.0.0.2:2222"]


def config(job="worker", index=0, **jobs) -> str:
    return json.dumps({"cluster": jobs or {"worker": TWO}, "task": {"type": job, "index": index}})


def test_tf_config_names_the_workers():
    assert find_cluster({"TF_CONFIG": config(index=1)}) == Cluster(tuple(TWO), 1)
    assert parse_tf_config(Cluster(tuple(TWO), 1).tf_config()) == Cluster(tuple(TWO), 1)


def test_a_chief_is_the_first_worker():
    jobs = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    assert parse_tf_config(config("chief", **jobs)) == Cluster(("a:1", "b:1", "c:1"), 0)
    assert parse_tf_config(config("worker", 1, **jobs)).rank == 2


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": " "}, {"TF_CONFIG": config(worker=["a:1"])}])
def test_one_process_is_no_cluster(environment):
    assert find_cluster(environment) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "must look like"),
        ("[]", "must look like"),
        ('{"cluster": {"worker": ["a:1"]}}', "must look like"),
        (config("ps", ps=["a:1"]), 'this task is "ps"'),
        (config("chief"), 'this task is "chief"'),
        (config(index=2), "task index 2, but the cluster has 2"),
        (config(index=-1), "task index -1"),
        (config(worker=["a:1", "a:1"]), "given once, not twice"),
        (config(worker=["a", "b:1"]), 'must be "host:port"'),
    ],
)
def test_a_bad_tf_config_is_one_line(text, says):
    with pytest.raises(BlitzError, match=says):
        find_cluster({"TF_CONFIG": text})


def test_slurms_hosts_and_counts():
    assert expand_hosts("n[1-2,07],gpu1,r[08-10]x") == ["n1", "n2", "n07", "gpu1", "r08x", "r09x", "r10x"]
    assert expand_counts("2(x3),1") == [2, 2, 2, 1]


STEP = {
    "SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_STEP_TASKS_PER_NODE": "2,1",
    "SLURM_PROCID": "2", "SLURM_JOB_ID": "30017",
}  # fmt: skip


def test_a_slurm_step_is_a_cluster():
    assert find_cluster(STEP) == Cluster(("n1:20017", "n1:20018", "n2:20017"), 2)
    assert find_cluster(STEP | {"TF_CONFIG": config()}) == Cluster(tuple(TWO), 0), "TF_CONFIG comes first"
    assert find_cluster(STEP | {"SLURM_STEP_NUM_TASKS": "1"}) is None
    assert find_cluster(STEP).local == 1


@pytest.mark.parametrize(
    "change",
    [
        {"SLURM_PROCID": "3"},
        {"SLURM_STEP_NODELIST": "n1"},
        {"SLURM_STEP_TASKS_PER_NODE": "two"},
        {"SLURM_STEP_NUM_TASKS": "x"},
    ],
)
def test_variables_of_slurm_that_do_not_fit_are_one_line(change):
    with pytest.raises(BlitzError, match="set TF_CONFIG instead"):
        find_cluster(STEP | change)


def local(count: int, rank: int = 0) -> Cluster:
    return local_clusters(count)[rank]


def test_a_port_in_use_is_one_line():
    cluster = local(2)
    host, _, port = cluster.addresses[0].rpartition(":")
    with socket.create_server((host, int(port))), pytest.raises(BlitzError, match=f"{port}: this worker's port cannot"):
        meet(cluster, 5)


def test_workers_meet():
    """The one that came first may have gone on: then TensorFlow listens in its place."""
    first, second = local_clusters(2)
    host, _, port = first.addresses[0].rpartition(":")
    with socket.create_server((host, int(port))):
        meet(second, 10)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(meet, first, 20)
        time.sleep(0.3)
        assert not early.done()
        host, _, port = second.addresses[1].rpartition(":")
        with socket.create_server((host, int(port))):
            assert early.result(20) is None


def test_others_that_do_not_come_are_one_line():
    cluster = local(2)
    with pytest.raises(
        BlitzError, match=f"worker 0 of 2 waited 0 s for {cluster.addresses[1]}; start the missing workers"
    ):
        meet(cluster, 0.2)


def test_flags_that_contradict_each_other():
    cluster = Cluster(tuple(TWO), 0)
    check_flags(2, 1, cluster, 2)
    check_flags(1, 2, None, 2)
    for arguments in ((3, 1, cluster), (2, 2, None), (1, 2, cluster)):
        with pytest.raises(BlitzError, match="leave"):
            check_flags(*arguments, 4)
    for arguments in ((3, 1, None), (1, 3, None)):
        with pytest.raises(BlitzError, match="--batch-size 2: must be at least 3, an image for each part"):
            check_flags(*arguments, 2)


@pytest.mark.torch
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_distributed_sampler_is_pytorchs(shuffle, drop_last):
    from torch.utils.data import DistributedSampler as Theirs

    for count in (1, 2, 7, 10, 101):
        for replicas in (1, 2, 3, 4):
            whole = []
            for rank in range(replicas):
                ours = DistributedSampler(count, replicas, rank, shuffle, seed=5, drop_last=drop_last)
                theirs = Theirs(range(count), replicas, rank, shuffle, seed=5, drop_last=drop_last)
                for epoch in (0, 3):
                    ours.set_epoch(epoch)
                    theirs.set_epoch(epoch)
                    assert list(ours) == list(theirs)
                assert len(ours) == len(theirs)
                whole.append(list(ours))
            assert ours.whole().tolist() == [index for step in zip(*whole, strict=True) for index in step]


@pytest.mark.parametrize("arguments", [(0, 2), (5, 0), (5, 2, 2), (5, 2, -1)])
def test_distributed_sampler_refuses(arguments):
    with pytest.raises(BlitzError, match="must be"):
        DistributedSampler(*arguments)
