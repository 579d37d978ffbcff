"""What checkpoints cost: the time of a run with them, against the same run without.

The time is from the end of the first epoch to the end of the last, as metrics.jsonl has it: steps,
validation and checkpoints, but neither start-up nor the final files. Two workers.
- the CNN, whose epochs take seconds, with a checkpoint every epoch;
- digits, whose epochs take some ten milliseconds, with `--checkpoint-every auto`, which is the
  default: every epoch while all of them together take at most 2 % of the time, and every minute.
  Every epoch is measured too, but not judged: nobody loses anything worth a file by losing it.
"""

from functools import partial

from benchmarks.harness import Options, Result, Target, alternate, main, say
from benchmarks.training import FRAMEWORKS, train

TARGET = Target(1.03, at_least=False)
EPOCHS = {"cnn": 12, "digits": 150}
QUICK_EPOCHS = 3
CELLS = (("cnn", "epoch", TARGET), ("digits", "auto", TARGET), ("digits", "epoch", None))


def measure(options: Options) -> list[Result]:
    """Ratios of run time; 1 is free."""
    results = []
    for framework in FRAMEWORKS[:1] if options.quick else FRAMEWORKS:
        for recipe, every, target in CELLS[:1] if options.quick else CELLS:
            say(f"checkpoint_cost: {framework} {recipe}, {every}")
            epochs = QUICK_EPOCHS if options.quick else EPOCHS[recipe]
            measures = [
                partial(seconds, framework, recipe, epochs, each) for each in (every, "never")
            ]
            times = alternate(measures[0], measures[1], options.pairs)
            name = f"{framework} {recipe}, checkpoints '{every}' / none"
            results.append(Result(name, "s", *times, target))
    return results


def seconds(framework: str, recipe: str, epochs: int, every: str) -> float:
    """Of a run, without its beginning and its end."""
    options = ("--epochs", str(epochs), "--checkpoint-every", every)
    return train(recipe, framework, 2, *options).steady_seconds


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
