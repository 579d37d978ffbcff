"""Fuzz what a device reads from elsewhere, for a time: `python -m tests.bundle.fuzz SECONDS`.

The cases of fuzz_cases.py take turns, each turn with a seed of its own. A case fails when a parser
raises anything but its own error, takes a damaged file for a good one, or needs much processor time
or memory for one input. What failed is printed with its smallest input, and
`python -m tests.bundle.fuzz CASE SEED` repeats that turn. Exit codes: 0 nothing failed; 1 a case
did; 2 bad usage. A hang ends the process after a minute, with a traceback.
"""

import faulthandler
import itertools
import os
import random
import sys
import time
import tracemalloc

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.bundle.fuzz_cases import CASES

EXAMPLES, SLOW_EXAMPLES = 200, 20
"""In one turn of a case, by which the time asked for is overrun at most: a second or two."""

SLOW = ("bundle-signed", "bundle-deep")  # every input is signed, and the signature checked

CPU_SECONDS, PEAK_BYTES, HANG_SECONDS = 1.0, 16 << 20, 60
"""What one input may take; every input here is smaller than 200 kB."""


def bounded(case):
    """The case, which also fails if its input takes long or much memory."""

    def run(value):
        # Started once: stopping may crash Python before 3.12.9 while another thread allocates.
        if not tracemalloc.is_tracing():
            tracemalloc.start()
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        tracemalloc.reset_peak()
        before, begin = tracemalloc.get_traced_memory()[0], time.process_time()
        try:
            case(value)
            took = time.process_time() - begin
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            faulthandler.cancel_dump_traceback_later()
        assert took < CPU_SECONDS, f"one input took {took:.1f} s of processor time"
        assert peak < PEAK_BYTES, f"one input took {peak >> 20} MB of memory"

    return run


def examples(name):
    return SLOW_EXAMPLES if name in SLOW else EXAMPLES


def turn(name, number):
    """Some examples of a case; raises what it raised, with the smallest input noted."""
    strategy, case = CASES[name]
    rules = settings(
        max_examples=examples(name), deadline=None, database=None, report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    try:
        rules(seed(number)(given(strategy)(bounded(case))))()
    except BaseException:
        print(f"\n{name} failed; to repeat it: python -m tests.bundle.fuzz {name} {number}")
        raise


def main(arguments):
    if len(arguments) == 2 and arguments[0] in CASES and arguments[1].isdecimal():
        turn(arguments[0], int(arguments[1]))
        return 0
    if len(arguments) != 1 or not arguments[0].isdecimal():
        print(f"usage: SECONDS, or CASE SEED with a case of {', '.join(CASES)}", file=sys.stderr)
        return 2
    end, count = time.monotonic() + int(arguments[0]), 0
    numbers = random.Random(os.environ.get("FUZZ_SEED"))  # CI takes the same inputs each time
    for name in itertools.cycle(CASES):
        if time.monotonic() >= end:
            break
        turn(name, numbers.getrandbits(32))
        count += examples(name)
    print(f"{count} inputs of {len(CASES)} kinds, nothing wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
