"""All benchmarks, one table: `python -m benchmarks [--quick] [--pairs N] [--out FILE]`.

The short form leaves out what takes minutes, so that it fits into a check of every change.
"""

from benchmarks import (
    checkpoint_cost,
    cli_startup,
    digits_accuracy,
    growth,
    plan_memory,
    recovery,
    scaling,
    startup,
    streaming,
    throughput,
    train_distributed,
)
from benchmarks.harness import Options, Result, main

MODULES = [
    cli_startup,
    train_distributed,
    startup,
    throughput,
    scaling,
    recovery,
    checkpoint_cost,
    plan_memory,
    streaming,
]
LONG = [growth, digits_accuracy]


def measure(options: Options) -> list[Result]:
    """The results of all benchmarks, in order."""
    modules = MODULES if options.quick else [*MODULES, *LONG]
    return [result for module in modules for result in module.measure(options)]


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
