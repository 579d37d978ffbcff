"""All benchmarks, one table: `python -m benchmarks [--quick] [--pairs N] [--out FILE]`.

The short form leaves out what takes minutes, so that it fits into a check of every change.
"""

from benchmarks import cli_startup, digits_accuracy, throughput, train_distributed
from benchmarks.harness import Options, Result, main


def measure(options: Options) -> list[Result]:
    """The results of all benchmarks, in order."""
    modules = [cli_startup, train_distributed, throughput]
    if not options.quick:
        modules.append(digits_accuracy)
    return [result for module in modules for result in module.measure(options)]


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
