"""What a second worker gains on the compute-bound CNN, in steps a second; the batch stays the same.

- Two workers of one thread each against one worker of one thread, which is held on one CPU.
- Two workers of one thread each against one worker of two threads.
- For reading the first: two trainings of one worker at the same time, one a CPU, their speeds
  added, against one alone. No second worker can gain more than that on this machine.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks.harness import Options, Result, Target, in_turns, main, say
from benchmarks.training import FRAMEWORKS, on_cpu, train

OF_ONE_THREAD, OF_TWO_THREADS = Target(1.8), Target(0.95)
EPOCHS, QUICK_EPOCHS = 5, 2


def measure(options: Options) -> list[Result]:
    """Ratios of each framework; above 1, two workers are faster."""
    results = []
    for framework in FRAMEWORKS[:1] if options.quick else FRAMEWORKS:
        say(f"scaling: {framework} cnn, 1 and 2 workers")
        epochs = QUICK_EPOCHS if options.quick else EPOCHS
        measures = [
            partial(speed, framework, epochs, 2, 1),
            partial(speed, framework, epochs, 1, 1, on_cpu(0)),
            partial(speed, framework, epochs, 1, 2),
            partial(speed_of_two, framework, epochs),
        ]
        two, one, threads, limit = in_turns(measures, options.pairs)
        name = f"{framework} cnn, 2 workers of 1 thread / 1 of"
        results += [
            Result(f"{name} 1 thread", "steps/s", two, one, OF_ONE_THREAD),
            Result(f"{name} 2 threads", "steps/s", two, threads, OF_TWO_THREADS),
            Result(f"{framework} cnn, 2 trainings at once / 1", "steps/s", limit, one),
        ]
    return results


def speed(
    framework: str, epochs: int, workers: int, threads: int, under: tuple[str, ...] = ()
) -> float:
    """Steps a second of `toolkit train`.

    Raises:
        RuntimeError: it did not take that many threads.
    """
    done = train("cnn", framework, workers, "--epochs", str(epochs), under=under)
    if (done.facts["world"], done.facts["threads"]) != (workers, threads):
        raise RuntimeError(f"asked for {workers} workers of {threads} threads, got {done.facts}")
    return done.speed


def speed_of_two(framework: str, epochs: int) -> float:
    """Steps a second of two trainings that know nothing of each other, added."""
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(speed, framework, epochs, 1, 1, on_cpu(cpu)) for cpu in (0, 1)]
    return sum(each.result() for each in runs)


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
