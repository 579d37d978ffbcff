"""What the sample plan costs for 10^3 to 10^7 samples: the memory of a step must not grow.

Each size is measured in a process of its own: the greatest memory that the shards of one step
need, as Python's allocations count it, and its CPU time. Time is not judged: it follows not from
the size but from how far that is below a power of two, since the shuffle walks over the rest.
"""

import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Iterator

from benchmarks.harness import PYTHON, Options, Result, Target, main, run, say

SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)
GLOBAL_BATCH, WORLD, STEPS = 256, 2, 3
REPEATS, TRIALS = 200, 5
TARGET = Target(1.1, at_least=False)


def measure(options: Options) -> list[Result]:
    """Bytes and microseconds of a step for each size, and their growth."""
    runs = []
    for _ in range(options.pairs):
        say("plan_memory: 10^3 to 10^7 samples")
        runs.append([_measured(size) for size in SIZES])
    return list(_results(runs))


def _results(runs: list[list[tuple[float, float]]]) -> Iterator[Result]:
    for index, (name, unit) in enumerate((("peak memory", "kB"), ("time", "us"))):
        for place, size in enumerate(SIZES):
            values = [each[place][index] for each in runs]
            yield Result(f"{name} of a plan's step, {size:.0e} samples", unit, values)
        largest = [each[-1][index] for each in runs]
        smallest = [each[0][index] for each in runs]
        target = TARGET if name == "peak memory" else None
        yield Result(f"{name}, 1e7 against 1e3 samples", unit, largest, smallest, target)


def _measured(size: int) -> tuple[float, float]:
    done = run([PYTHON, "-m", "benchmarks.plan_memory", str(size)])
    memory, seconds = json.loads(done.stdout)
    return memory / 1000, seconds * 1e6


def one(size: int) -> tuple[int, float]:
    """Peak bytes and seconds of one step's shards of both ranks, for a plan of `size` samples."""
    from toolkit.data.plan import SamplePlan

    plan = SamplePlan(size, GLOBAL_BATCH, seed=0)

    def step(number: int) -> None:
        first = number % STEPS  # the smallest plan has this many full steps
        for rank in range(WORLD):
            for ids in plan.shards(number, first, first + 1, rank, WORLD):
                assert len(ids) == GLOBAL_BATCH // WORLD

    step(0)
    tracemalloc.start()
    for number in range(20):
        step(number)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    times = []
    for _ in range(TRIALS):
        start = time.process_time()
        for number in range(REPEATS):
            step(number)
        times.append((time.process_time() - start) / REPEATS)
    return peak, statistics.median(times)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].isdigit():
        print(json.dumps(one(int(sys.argv[1]))))
    else:
        raise SystemExit(main(measure, __doc__))
