"""Measure training by two workers against one process and PyTorch's DistributedDataParallel, in alternating runs.

python scripts/bench_distributed.py --rounds 3

The MNIST network in float32, batch 100 in all. Each run is a new process, or two: the time to the first steps counts
what a worker pays before it trains (imports, forming the cluster, compiling), the rate leaves the first call out.
"""

# S7 of docs/inventory.md.

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from keras_blitz import command
from keras_blitz.training.cluster import find_cluster
from keras_blitz.training.launcher import launch

# name -> (framework, processes, threads of each)
RUNS = {
    "1 process × 1 thread": ("ours", 1, 1),
    "1 process × 2 threads": ("ours", 1, 2),
    "2 workers × 1 thread": ("ours", 2, 1),
    "PyTorch, 1 process × 2 threads": ("torch", 1, 2),
    "DDP, 2 ranks × 1 thread": ("torch", 2, 1),
}
BATCH, PER_CALL = 100, 20


def train_ours(threads: int, steps: int) -> list[float]:
    """Return the time after each call of the graph."""
    from keras_blitz.training.cpu import tune_cpu
    from keras_blitz.training.distributed import ALONE, join

    tune_cpu(threads, threads)
    cluster = find_cluster()
    workers = join(cluster) if cluster else ALONE
    import keras_blitz
    from keras_blitz.data.datasets import KNOWN, sample_as
    from keras_blitz.training.loop import trainer_of
    from keras_blitz.training.recipes import RECIPES

    keras_blitz.manual_seed(0)
    trainer = trainer_of(
        RECIPES["mnist"], sample_as("mnist", KNOWN["mnist"].shape).train, "tape", workers=workers, shards=1,
        steps_per_call=PER_CALL, shuffle=True,
    )  # fmt: skip
    times: list[float] = []
    while len(times) * PER_CALL < steps:
        trainer.run_epoch(lambda *_: times.append(time.time()) or len(times) * PER_CALL < steps)
    workers.any(False)
    return times


def train_torch(threads: int, steps: int) -> list[float]:
    """Return the time after each `PER_CALL` steps."""
    import torch
    from torch import distributed, nn
    from torch.utils.data import DataLoader, DistributedSampler

    from keras_blitz.data.datasets import KNOWN, sample_as
    from parity.twins.torch.mnist import Network2
    from parity.twins.torch.training import Images

    torch.set_num_threads(threads)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        distributed.init_process_group("gloo")
    torch.manual_seed(0)
    net = Network2()
    model = nn.parallel.DistributedDataParallel(net) if world > 1 else net
    data = sample_as("mnist", KNOWN["mnist"].shape).train
    prepared = list(Images(data.images, data.labels, (0.1307, 0.3081), torch.float32))  # ours transforms in the graph
    sampler = DistributedSampler(prepared) if world > 1 else None
    loader = DataLoader(prepared, BATCH // world, shuffle=sampler is None, sampler=sampler)
    optimizer, criterion = torch.optim.SGD(model.parameters(), 0.1), nn.CrossEntropyLoss()
    times, step = [], 0
    while step < steps:
        for inputs, labels in loader:
            optimizer.zero_grad()
            criterion(model(inputs), labels).backward()
            optimizer.step()
            step += 1
            if step % PER_CALL == 0:
                times.append(time.time())
    return times


def work(options) -> None:
    """Train as one worker; the first writes when it had done what."""
    cluster = find_cluster()
    rank = cluster.rank if cluster else 0
    if options.framework == "torch" and cluster:
        from parity.twins.torch.distributed import environment

        os.environ |= environment(rank, cluster.size, int(cluster.addresses[0].rpartition(":")[2]))
    times = (train_torch if options.framework == "torch" else train_ours)(options.threads, options.steps)
    if rank == 0:
        options.result.write_text(json.dumps(times))


def measure(framework: str, processes: int, threads: int, steps: int) -> tuple[float, float, float]:
    """Return the seconds to the first call's end, steps per second after it, and CPU seconds of all processes."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "times.json"
        command_line = [
            sys.executable, __file__, "--framework", framework, "--threads", str(threads), "--steps", str(steps),
            "--result", str(result),
        ]  # fmt: skip
        start, before = time.time(), os.times()
        environment = dict(os.environ)
        os.environ["OMP_NUM_THREADS"] = str(threads)
        status = launch(processes, command_line, "bench_distributed")
        os.environ.clear()
        os.environ |= environment
        if status:
            raise SystemExit(status)
        after, times = os.times(), json.loads(result.read_text())
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return times[0] - start, (len(times) - 1) * PER_CALL / (times[-1] - times[0]), used


def main() -> None:
    """Measure, or be one of the workers."""
    parser = command.argument_parser(__doc__)
    parser.add_argument("--rounds", type=command.whole_number(1), default=3)
    parser.add_argument("--steps", type=command.whole_number(2 * PER_CALL), default=400)
    parser.add_argument("--framework", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.framework:
        work(options)
        return
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in RUNS}
    for _ in range(options.rounds):
        for name, run in RUNS.items():
            found[name].append(measure(*run, options.steps))
            first, rate, used = found[name][-1]
            print(f"{name}: {first:.1f} s, {rate:.0f} steps/s, {used:.1f} CPU s", file=sys.stderr, flush=True)
    print("| run | first 20 steps after | steps per second | CPU seconds |\n|---|---|---|---|")
    for name, rows in found.items():
        first, rate, used = (median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {first:.1f} s | {rate:.0f} | {used:.1f} |")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    command.run(main, "bench_distributed")
