"""The same training by several workers: each takes its part of every batch, and one run comes of it.

    replica r of W takes batch[r::W], DistributedSampler's stride; the gradients are summed

The engine is TensorFlow's: `MultiWorkerMirroredStrategy` for several processes, `MirroredStrategy` for several devices
of one process. `launcher.py` starts processes on this machine; `cluster.py` reads who they are.
"""

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from keras_blitz.errors import BlitzError, one_line
from keras_blitz.quiet import import_tensorflow, silence_native_code
from keras_blitz.training.cluster import TF_CONFIG, Cluster, meet
from keras_blitz.training.launcher import LAUNCHER, LOST

Like = Literal["one", "ddp"]
_PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that this process is sent when its parent ends
PATIENCE = 120.0  # seconds to wait for the others to come


@dataclass(frozen=True)
class Workers:
    """Who trains, and what the result is equal to.

    Args:
        strategy: TensorFlow's; None: this process alone, on one device.
        rank: of this process, from 0; the chief, 0, prints and saves.
        processes: how many there are.
        like: "one": the run that one process makes of the same batches. "ddp": PyTorch's DistributedDataParallel, the
            mean of the replicas' means, each rank with a random stream of its own, BatchNorm's buffers of rank 0.
    """

    strategy: Any = None
    rank: int = 0
    processes: int = 1
    like: Like = "one"

    @property
    def chief(self) -> bool:
        """Whether this process prints and saves."""
        return self.rank == 0

    @property
    def replicas(self) -> int:
        """W, the number of parts of a batch."""
        return int(self.strategy.num_replicas_in_sync) if self.strategy else 1

    @property
    def is_ddp(self) -> bool:
        """Whether the run reproduces DistributedDataParallel."""
        return self.strategy is not None and self.like == "ddp"

    def scope(self) -> AbstractContextManager[Any]:
        """Return the block in which a model's and an optimizer's variables are made."""
        return self.strategy.scope() if self.strategy else nullcontext()

    # What the processes tell each other. All of them must call these, in the same order.

    def share(self, payload: bytes, source: int = 0) -> bytes:
        """Return what the process `source` passed, in every process."""
        if self.processes == 1:
            return payload
        mine = payload if self.rank == source else b""
        size = int(self._sum(np.array([len(mine)]))[0])
        padded = np.frombuffer(mine.ljust(-(-size // 8) * 8, b"\0"), np.int64) if mine else np.zeros(-(-size // 8), int)
        return self._sum(padded).tobytes()[:size]

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether any process set it."""
        return list(flags) if self.processes == 1 else [bool(count) for count in self._sum(np.array(flags, np.int64))]

    def gather(self, payload: bytes) -> list[bytes]:
        """Return what each process passed, in the order of ranks."""
        return [self.share(payload, rank) for rank in range(self.processes)]

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """Raise in every process where two of them differ in what they run.

        Raises:
            BlitzError: a value is another one than the chief's.
        """
        told = [json.loads(text) for text in self.gather(json.dumps(facts, default=str).encode())]
        for rank, others in enumerate(told[1:], 1):
            for name, value in told[0].items():
                if others.get(name) != value:
                    raise BlitzError(
                        f"worker {rank} has {name} {others.get(name)}, but the chief has {value}; start all alike"
                    )

    def _sum(self, values: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        local = self.strategy.extended.worker_devices  # a sum over replicas: the first of each process counts

        def of_replica(context: Any) -> tf.Tensor:
            return tf.constant(values if context.replica_id_in_sync_group % len(local) == 0 else 0 * values)

        told = self.strategy.experimental_distribute_values_from_function(of_replica)
        return np.asarray(self.strategy.reduce("SUM", told, axis=None))


ALONE = Workers()


def join(cluster: Cluster, like: Like = "one", patience: float = PATIENCE) -> Workers:
    """Join the other processes of a cluster; call it before TensorFlow's first operation, after `cpu.tune_cpu`.

    A process that goes away while the cluster forms leaves the others inside TensorFlow, which no exception reaches:
    they are ended by SIGALRM after `patience` seconds.

    Args:
        cluster: see `find_cluster`.
        like: see `Workers`.
        patience: seconds to wait for the others.

    Raises:
        BlitzError: this process's port is in use, the others have not come, or the cluster did not form.
    """
    _end_with_launcher()
    os.environ[TF_CONFIG] = cluster.tf_config()  # what SLURM said, too, and a chief as the first worker
    # The processes talk to each other, never through a proxy.
    hosts = ",".join(address.rpartition(":")[0] for address in cluster.addresses)
    os.environ["no_grpc_proxy"] = hosts  # noqa: SIM112, the name that gRPC reads
    import_tensorflow()
    import tensorflow as tf

    meet(cluster, patience)
    silence_native_code()
    ended, before = signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, patience)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise BlitzError(f"the {cluster.size} workers did not come together: {one_line(error)}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGTERM, ended)  # TensorFlow takes it to mean that the machine will be taken away
    return Workers(strategy, cluster.rank, cluster.size, like)


def use_devices(count: int, like: Like = "one") -> Workers:
    """Return the workers that are `count` devices of this process: GPUs, or parts of the CPU where they are too few.

    Parts of a CPU are for trying out: they share its cores. Call it before TensorFlow's first operation.
    """
    import_tensorflow()
    import tensorflow as tf

    kind = "GPU" if len(tf.config.list_physical_devices("GPU")) >= count else "CPU"
    if kind == "CPU":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    return Workers(tf.distribute.MirroredStrategy([f"{kind}:{number}" for number in range(count)]), like=like)


@contextmanager
def ends_with_the_others(workers: Workers, name: str) -> Iterator[None]:
    """End this process with one line and status `LOST` where the block finds that another process is gone.

    At once: Python's own end would wait for the others.

    Args:
        workers: who trains.
        name: of the script, which the line begins with. Under the launcher that says it.
    """
    if workers.processes == 1:
        yield
        return
    import tensorflow as tf

    gone = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
    try:
        yield
    except (*gone, tf.errors.CancelledError):
        if LAUNCHER not in os.environ:
            line = f"{name}: worker {workers.rank} of {workers.processes} lost the others; go on with --resume"
            print(line, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(LOST)


@contextmanager
def silent_unless_chief(workers: Workers) -> Iterator[None]:
    """Let only the chief print."""
    if workers.chief:
        yield
        return
    before = sys.stdout
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        sys.stdout = nowhere
        try:
            yield
        finally:
            sys.stdout = before


def _end_with_launcher() -> None:
    """End this process when its launcher does, however that ends.

    The thread cannot run while TensorFlow forms the cluster, because that holds Python's lock: Linux ends it then.
    """
    pipe = os.environ.get(LAUNCHER)
    if pipe is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def wait() -> None:
        os.read(int(pipe), 1)  # nothing is ever written
        os._exit(LOST)

    threading.Thread(target=wait, daemon=True).start()
