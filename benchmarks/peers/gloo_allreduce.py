"""Seconds of gloo's all-reduce, as DDP uses it on CPUs, for each size in bytes:

    torchrun --nproc-per-node 2 -m benchmarks.peers.gloo_allreduce 4 4000000

Rank 0 prints a JSON list of medians.
"""

import json
import statistics
import sys
import time

import torch
import torch.distributed as dist

ROUNDS = 200


def seconds(size: int) -> float:
    tensor = torch.zeros(size // 4)
    times = []
    for _ in range(ROUNDS):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(tensor)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    medians = [seconds(int(size)) for size in sys.argv[1:]]
    if dist.get_rank() == 0:
        print(json.dumps(medians))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
