"""All benchmarks, one table: `python -m benchmarks [--quick] [--pairs N] [--out FILE]`.

The short form leaves out what takes minutes, so that it fits into a check of every change.
"""

from benchmarks import (
    checkpoint_cost,
    cli_startup,
    digits_accuracy,
    edge_frameworks,
    edge_overhead,
    export_matrix,
    export_quality,
    growth,
    plan_memory,
    recovery,
    scaling,
    serving,
    serving_ray,
    startup,
    streaming,
    throughput,
    train_distributed,
)
from benchmarks.harness import Options, Result, main

QUICK = [cli_startup, train_distributed, throughput, plan_memory]
LONG = [
    startup,
    scaling,
    recovery,
    checkpoint_cost,
    streaming,
    growth,
    digits_accuracy,
    export_quality,
    export_matrix,
    edge_overhead,
    edge_frameworks,
    serving,
    serving_ray,
]


def measure(options: Options) -> list[Result]:
    """The results of all benchmarks, in order."""
    modules = QUICK if options.quick else [*QUICK, *LONG]
    return [result for module in modules for result in module.measure(options)]


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
