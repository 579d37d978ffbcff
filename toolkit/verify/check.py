"""One exported file in one runtime, compared with the trained model. Runs in a child process.

A damaged file can crash a runtime; a process of its own turns that into a failed check.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.decision import decide
from edge.errors import EdgeError
from edge.runtime import load
from toolkit.artifacts import Export, Golden
from toolkit.recipe import Array
from toolkit.verify.compare import ERROR_LIMITS, compare


@dataclass(frozen=True)
class Question:
    """What a file is asked and what it must answer.

    Attributes:
        inputs: preprocessed golden inputs by name, each [n, ...].
        golden: the golden vectors they came from.
        probe: the probe's preprocessed inputs, each [1, ...], or None.
        expected: the probe's answer.
        probe_tolerance: greatest distance from `expected`.
        decision: 'argmax', 'sign' or 'value'.
        tolerance: for 'value': distance that leaves an answer unchanged.
    """

    inputs: Mapping[str, Array]
    golden: Golden
    probe: Mapping[str, Array] | None
    expected: float
    probe_tolerance: float
    decision: str
    tolerance: float


@dataclass(frozen=True)
class Answer:
    """What came out; `reason` says why it failed, or is ''."""

    runtime: str
    probe: float | int | None
    error: float | None
    kept: float | None
    reason: str


def check(content: bytes, export: Export, question: Question) -> Answer:
    """Run the file on golden vectors and probe, and judge it. Never raises for a bad file."""
    runtime, probe = "", None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(export.file).name
        path.write_bytes(content)
        try:
            model = load(path)
            runtime = model.runtime
            outputs = model.predict(question.inputs)
            if question.probe is not None:
                answer = decide(
                    next(iter(model.predict(question.probe).values())), question.decision
                )
                probe = np.asarray(answer).reshape(-1)[0].item()
            result = compare(
                question.golden.outputs, outputs, question.decision, question.tolerance
            )
        except (EdgeError, ValueError) as error:
            return Answer(runtime, probe, None, None, str(error).replace(f"{folder}/", ""))
    reason = judge(export.precision, result.error, result.kept, probe, question)
    return Answer(runtime, probe, result.error, result.kept, reason)


def judge(
    precision: str, error: float, kept: float, probe: float | None, question: Question
) -> str:
    """Return why the file fails, or ''."""
    limit = ERROR_LIMITS[precision]
    if not error <= limit:
        return f"error {error:.1e} is above the limit {limit:.0e} for {precision}"
    if kept < 1:
        return f"{1 - kept:.1%} of the decisions changed"
    if probe is not None and not abs(probe - question.expected) <= question.probe_tolerance:
        return f"the probe answers {probe:g}, expected {question.expected:g}"
    return ""
