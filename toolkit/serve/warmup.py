"""Before a version answers anyone: are its answers right here, how fast is it, and may it join?

The golden vectors are replayed as clients would send them, one at a time and in full batches. A
file without any is run on made-up numbers, which shows how fast it is and whether samples influence
each other, and proves nothing.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from edge.bundle_entries import Tolerance
from edge.closeness import compared, scaled_error
from edge.errors import EdgeError
from toolkit.errors import CheckError
from toolkit.serve.joining import samples_of
from toolkit.serve.version import Array, Arrays, Spec, Version

_ALONE = 16  # golden samples that are also asked for one by one
_SAME = 1e-2  # in the outputs' range: as much may two sizes of batches differ by rounding
_RUNS, _SECONDS = 30, 0.1  # of the measurement, at most
_SIZES_RUNS, _SIZES_SECONDS = 5, 0.5  # of the measurement of sizes of batches
_WORSE = 1.15  # times the least time a sample
_FREE_AXIS = 1


def warm_up(version: Version, tolerance: Tolerance | None, size: int) -> None:
    """Fill in `proof.samples`, `proof.error`, `seconds`, `most` and `joins`.

    Args:
        version: not served yet.
        tolerance: of its golden vectors, where it has some.
        size: most samples of one call.

    Raises:
        CheckError: the golden vectors are not reproduced.
        edge.errors.EdgeError: the model fails on them.
    """
    unit = version.batch or 1
    if version.golden is not None and tolerance is not None:
        _replay(version, tolerance, size)
        raw = {s.name: version.golden[f"inputs.{s.name}"] for s in version.inputs}
        sample = version.prepare(_rows(raw, range(unit)))
    else:
        sample = _made_up(version.prepared, unit)
        if not _runs(version, sample):
            return
        _check_joining(version, unit)
    version.seconds = _measured(version, sample, _RUNS)
    if version.joins:
        version.most = _most(version, sample, size)


def _replay(version: Version, tolerance: Tolerance, size: int) -> None:
    golden = version.golden or {}
    inputs, expected = _side(golden, "inputs."), _side(golden, "outputs.")
    total, unit = samples_of(inputs), version.batch or 1
    whole = max(size - size % unit, unit)
    worst = 0.0
    for step, count in ((unit, min(_ALONE, total)), (whole, total)):
        outputs = _answers(version, inputs, step, count)
        if outputs is None:  # another way of joining is not possible either
            version.joins = False
            continue
        error = _checked(version, tolerance, _rows(expected, range(count)), outputs, step)
        worst = max(worst, error)
    version.proof = replace(version.proof, samples=total, error=worst)


def _side(golden: Arrays, prefix: str) -> dict[str, Array]:
    return {n[len(prefix) :]: array for n, array in golden.items() if n.startswith(prefix)}


def _answers(version: Version, inputs: Arrays, step: int, count: int) -> dict[str, Array] | None:
    """Outputs of the first `count` samples, `step` at a time; None where they have no rows.

    The last batch is filled up with its last sample, as the queue does it for files that fix it.
    """
    parts: list[dict[str, Array]] = []
    for rows in _batches(step, count, version.batch is not None):
        outputs = version.run(version.prepare(_rows(inputs, rows)))
        if any(array.shape[:1] != (len(rows),) for array in outputs.values()):
            return None
        version.interpret(outputs)
        parts.append(outputs)
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def _batches(step: int, count: int, padded: bool) -> Iterator[Sequence[int]]:
    for start in range(0, count, step):
        rows = range(start, start + step)
        yield [min(row, count - 1) for row in rows] if padded else rows[: count - start]


def _checked(
    version: Version, stated: Tolerance, expected: Arrays, outputs: Arrays, step: int
) -> float:
    """The greatest difference; raises CheckError if it is over the limit."""
    first, decision = version.outputs[0].name, version.decision
    facts, problem = compared(stated, expected, outputs, first, decision)
    if problem:
        raise CheckError(
            f"{version.model.source}: wrong answer to golden vectors, {step} at a time: {problem}\n"
            "verify the export again on a machine like this one"
        )
    return float(facts["error"])


def _made_up(specs: Sequence[Spec], count: int) -> dict[str, Array]:
    """Arrays that any model of these inputs should take: uniform numbers; zeros for integers."""
    numbers = np.random.default_rng(0)
    made: dict[str, Array] = {}
    for spec in specs:
        shape = [_FREE_AXIS if size is None else size for size in spec.shape]
        shape[:1] = [count] if spec.shape else []
        is_float = np.dtype(spec.dtype).kind == "f"
        values = numbers.random(shape) if is_float else np.zeros(shape)
        made[spec.name] = np.asarray(values, spec.dtype)
    return made


def _runs(version: Version, sample: Arrays) -> bool:
    """Whether made-up numbers are taken at all; if not, nothing is known."""
    try:
        outputs = version.run(sample)
    except EdgeError:
        return False
    count = samples_of(sample)
    version.joins = all(array.shape[:1] == (count,) for array in outputs.values())
    return True


def _check_joining(version: Version, unit: int) -> None:
    """Do three batches run together answer as each alone?"""
    if not version.joins:
        return
    joined = _made_up(version.prepared, 3 * unit)
    try:
        together = version.run(joined)
        alone = [version.run(_rows(joined, range(i, i + unit))) for i in range(0, 3 * unit, unit)]
    except EdgeError:
        version.joins = False
        return
    for name, array in together.items():
        parts = np.concatenate([np.atleast_1d(part[name]) for part in alone])
        if array.shape != parts.shape or scaled_error(parts, array) > _SAME:
            version.joins = False


def _rows(arrays: Arrays, rows: Sequence[int]) -> dict[str, Array]:
    """Some samples; the last one again where there are fewer."""
    return {
        name: array[[min(row, len(array) - 1) for row in rows]] if array.ndim else array
        for name, array in arrays.items()
    }


def _most(version: Version, sample: Arrays, size: int) -> int:
    """Samples of one call from which on each takes longer, as where caches end; 0 if none are.

    What would take too long to measure is taken to be good.
    """
    unit = version.batch or 1
    each = {unit: version.seconds / unit}
    end = time.perf_counter() + _SIZES_SECONDS
    count = 2 * unit
    while count <= size and time.perf_counter() + 4 * count * min(each.values()) < end:
        each[count] = _measured(version, _rows(sample, range(count)), _SIZES_RUNS) / count
        count *= 2
    good = max(n for n, seconds in each.items() if seconds <= _WORSE * min(each.values()))
    return 0 if good == max(each) else good


def _measured(version: Version, sample: Arrays, runs: int) -> float:
    """Seconds of a call, the least of some: others may use the processor just now."""
    version.run(sample)
    least, end = float("inf"), time.perf_counter() + _SECONDS
    for _ in range(runs):
        begun = time.perf_counter()
        version.run(sample)
        now = time.perf_counter()
        least = min(least, now - begun)
        if now > end:
            break
    return least
