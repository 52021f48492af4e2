"""Which processes train together: read from TF_CONFIG or SLURM's variables, and met before TensorFlow starts.

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'

Standard library alone: a mistake is told before TensorFlow is imported.
"""

import json
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from keras_blitz.errors import BlitzError

TF_CONFIG = "TF_CONFIG"
# SLURM has no port of its own; a step's tasks take one each from here on, shifted by the job's number.
_FIRST_PORT, _PORTS = 20_000, 10_000
_BETWEEN = 0.1  # seconds between two calls
_EXAMPLE = '{"cluster": {"worker": ["host:port", "host:port"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Args:
        addresses: "host:port" of each, the chief first.
        rank: of this process, from 0.
    """

    addresses: tuple[str, ...]
    rank: int

    @property
    def size(self) -> int:
        """The number of processes."""
        return len(self.addresses)

    @property
    def local(self) -> int:
        """The number of processes on this machine, as far as the addresses say."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        return hosts.count(hosts[self.rank])

    def tf_config(self) -> str:
        """Return the value of TF_CONFIG that says the same."""
        task = {"type": "worker", "index": self.rank}
        return json.dumps({"cluster": {"worker": list(self.addresses)}, "task": task})


def find_cluster(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Return the cluster that the environment names, TF_CONFIG's before SLURM's; None where there is one process.

    Raises:
        BlitzError: TF_CONFIG or SLURM's variables do not describe one.
    """
    text = environment.get(TF_CONFIG, "").strip()
    cluster = parse_tf_config(text) if text else parse_slurm(environment)
    return cluster if cluster and cluster.size > 1 else None


def parse_tf_config(text: str) -> Cluster:
    """Return the cluster of a TF_CONFIG: the task "chief", where there is one, then the workers.

    Raises:
        BlitzError: it is not JSON, has other tasks, an address twice or without a port, or an index out of range.
    """
    try:
        config = json.loads(text)
        jobs = {job: list(addresses) for job, addresses in config["cluster"].items()}
        job, index = config["task"]["type"], int(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BlitzError(f"TF_CONFIG must look like {_EXAMPLE}, not {text[:200]}") from error
    if job not in ("chief", "worker") or not jobs.get(job):
        raise BlitzError(f'TF_CONFIG: this task is "{job}"; only "worker" and "chief" train')
    if not 0 <= index < len(jobs[job]):
        raise BlitzError(f'TF_CONFIG: task index {index}, but the cluster has {len(jobs[job])} of "{job}"')
    addresses = (*jobs.get("chief", []), *jobs.get("worker", []))
    _check_addresses(addresses)
    return Cluster(addresses, index + (len(jobs.get("chief", [])) if job == "worker" else 0))


def parse_slurm(environment: Mapping[str, str]) -> Cluster | None:
    """Return the cluster of a SLURM step (`srun`), one task per process; None outside of one.

    TensorFlow's `SlurmClusterResolver` counts GPUs with nvidia-smi and raises on nodes that have none.

    Raises:
        BlitzError: a variable of SLURM's is missing or is not understood.
    """
    try:
        if int(environment.get("SLURM_STEP_NUM_TASKS", "1") or 1) < 2:
            return None
        hosts = expand_hosts(environment["SLURM_STEP_NODELIST"])
        tasks = expand_counts(environment["SLURM_STEP_TASKS_PER_NODE"])
        rank, job = int(environment["SLURM_PROCID"]), int(environment.get("SLURM_JOB_ID", "0"))
        first = _FIRST_PORT + job % _PORTS
        addresses = tuple(
            f"{host}:{first + task}" for host, count in zip(hosts, tasks, strict=True) for task in range(count)
        )
        if not 0 <= rank < len(addresses) == int(environment["SLURM_STEP_NUM_TASKS"]):
            raise ValueError(f"task {rank} of {len(addresses)}")
    except (KeyError, ValueError) as error:
        raise BlitzError(f"SLURM's variables do not describe this step ({error}); set TF_CONFIG instead") from None
    return Cluster(addresses, rank)


def expand_hosts(text: str) -> list[str]:
    """Return the hosts of SLURM's list: "n[1-2,07],gpu1" is n1, n2, n07, gpu1."""
    hosts: list[str] = []
    for name in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        match = re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", name)
        hosts += [f"{match[1]}{number}{match[3]}" for number in _numbers(match[2])] if match else [name]
    return hosts


def expand_counts(text: str) -> list[int]:
    """Return SLURM's counts for each node: "2(x3),1" is 2, 2, 2, 1."""
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not match:
            raise ValueError(f"counts {text!r}")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _numbers(text: str) -> Iterator[str]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from (str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1))


def meet(cluster: Cluster, patience: float) -> None:
    """Wait until all processes of a cluster are there: each listens at its own address and calls at the others'.

    TensorFlow itself would wait for ever, and hold Python's lock meanwhile. One that is there listens, or TensorFlow
    does for it already.

    Raises:
        BlitzError: this process's port is in use, or the others have not come after so many seconds.
    """
    end = time.monotonic() + patience
    waiting = [address for rank, address in enumerate(cluster.addresses) if rank != cluster.rank]
    with _listening(cluster.addresses[cluster.rank]):
        while waiting := unreachable(waiting):
            if time.monotonic() > end:
                raise BlitzError(
                    f"worker {cluster.rank} of {cluster.size} waited {patience:.0f} s for {', '.join(waiting)};"
                    f" start the missing workers, or unset {TF_CONFIG} to train in one process"
                )
            time.sleep(_BETWEEN)


def _listening(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    local = host if host == "localhost" or host.startswith("127.") else ""  # a name may be the outer one's
    try:
        return socket.create_server((local, int(port)))
    except OSError as error:
        raise BlitzError(
            f"{address}: this worker's port cannot be used ({error.strerror}); free it, or choose another"
        ) from None


def unreachable(addresses: Iterable[str], seconds: float = 1.0) -> list[str]:
    """Return the addresses at which nobody answers."""
    silent = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), seconds).close()
        except OSError:
            silent.append(address)
    return silent


def _check_addresses(addresses: tuple[str, ...]) -> None:
    for address in addresses:
        if not re.fullmatch(r".+:\d{1,5}", str(address)):
            raise BlitzError(f'TF_CONFIG: the address {address!r} must be "host:port"')
    if len(set(addresses)) < len(addresses):
        raise BlitzError(f"TF_CONFIG: each address must be given once, not twice: {', '.join(addresses)}")
