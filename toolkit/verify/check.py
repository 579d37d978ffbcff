"""One exported file in one runtime, compared with the trained model. Runs in a child process.

A damaged file can crash a runtime; a process of its own turns that into a failed check.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.decision import decide
from edge.errors import EdgeError
from edge.manifest import Manifest
from toolkit.artifacts import Export, Golden
from toolkit.card import Card
from toolkit.errors import ToolkitError
from toolkit.recipe import Array
from toolkit.verify.compare import Comparison, compare, judge
from toolkit.verify.files import Opened, appended, open_file, turned
from toolkit.verify.gates import Gate
from toolkit.verify.metric import Drop, measure

Steps = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Evaluation:
    """The validation split, and what the source model answers there.

    Attributes:
        inputs: preprocessed, by name, each [n, ...].
        outputs: the source model's, by name, each [n, ...].
        targets: what the data says, [n, ...].
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    targets: Array


@dataclass(frozen=True)
class Question:
    """What a file is asked and what it must answer.

    Attributes:
        inputs: preprocessed golden inputs by name, each [n, ...].
        golden: the golden vectors they came from.
        card: what the model means; its manifest must say the same.
        probe: the probe's preprocessed inputs, each [1, ...], or None.
        tolerance: for 'value': distance that leaves an answer unchanged, or None for one in
            units of the reference's range.
        evaluation: samples to measure the metric on, or None for no metric. Where its inputs are
            the golden vectors' own, the file is not run again.
    """

    inputs: Mapping[str, Array]
    golden: Golden
    card: Card
    probe: Mapping[str, Array] | None = None
    tolerance: float | None = None
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class Answer:
    """What came out; `reason` says why it failed, or is ''."""

    runtime: str
    probe: float | int | None = None
    result: Comparison | None = None
    drop: Drop | None = None
    reason: str = ""


def check(files: Mapping[str, bytes], export: Export, question: Question, gate: Gate) -> Answer:
    """Run the file on all samples and judge it. Never raises for a bad file.

    Args:
        files: its content by relative name; '' for a single file.
        export: its record.
        question: samples and right answers.
        gate: what it must keep to.
    """
    runtime = ""
    try:
        opened = open_file(files, export.target, _file_name(export))
        runtime = opened.runtime
        axes, reason = _axes(opened.manifest, question, foreign=export.framework == export.target)
        if reason:
            return Answer(runtime, reason=reason)
        return _asked(opened, axes, question, export.precision, gate)
    except (EdgeError, ToolkitError, ValueError) as error:
        return Answer(runtime, reason=_without_folder(str(error), _file_name(export)))


def _asked(
    opened: Opened, axes: Mapping[str, list[int]], question: Question, precision: str, gate: Gate
) -> Answer:
    card, golden, evaluation = question.card, question.golden, question.evaluation
    outputs, probe = opened.predict(turned(question.inputs, axes)), None
    first = next(iter(golden.outputs))
    result = compare(golden.outputs, outputs, card.decision, question.tolerance, gate)
    if question.probe is not None:
        answer = decide(opened.predict(turned(question.probe, axes))[first], card.decision)
        probe = np.asarray(answer).reshape(-1)[0].item()
    drop = None
    if evaluation is not None and card.metrics:
        if evaluation.inputs is not question.inputs:
            outputs = opened.predict(turned(evaluation.inputs, axes))
        drop = measure(
            card.metrics[0],
            evaluation.outputs[first],
            outputs[first],
            evaluation.targets,
            card.decision,
        )
    reason = judge(result, precision, gate, drop) or _wrong_probe(probe, card)
    return Answer(opened.runtime, probe, result, drop, reason)


def _wrong_probe(answer: float | int | None, card: Card) -> str:
    if answer is None or card.probe is None:
        return ""
    expected = float(card.probe.expected)
    if abs(answer - expected) <= float(card.probe.tolerance):
        return ""
    return f"the probe answers {answer:g}, expected {expected:g}"


def _axes(
    manifest: Manifest | None, question: Question, *, foreign: bool
) -> tuple[dict[str, list[int]], str]:
    """Axes by input that bring samples into the file's layout, and why the manifest is wrong."""
    card, after = question.card, question.card.postprocessing
    if manifest is None:
        return {}, "" if foreign else "the file carries no manifest; export it again"
    for what, got, wanted in (
        ("labels", manifest.labels, card.labels),
        ("decision", manifest.decision, card.decision),
        ("postprocessing", manifest.postprocessing, _plain([dict(step) for step in after])),
    ):
        if got != wanted:
            return {}, _differs(what, got, wanted)
    steps: Steps = _plain({name: card.steps_for(name) for name in question.inputs})
    axes = appended(manifest.preprocessing, steps)
    if axes is None:
        return {}, _differs("preprocessing", dict(manifest.preprocessing), steps)
    return axes, ""


def _plain(value: Any) -> Any:
    """As a manifest has it: tuples become lists."""
    return json.loads(json.dumps(value))


def _differs(what: str, got: object, wanted: object) -> str:
    return (
        f"its manifest's {what} differ from the model's: {_short(got)} instead of "
        f"{_short(wanted)}; export it again"
    )


def _short(value: object) -> str:
    text = "none" if value is None else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _file_name(export: Export) -> str:
    return Path(export.file).name


def _without_folder(message: str, name: str) -> str:
    """Without the temporary folder's path, which means nothing to the user."""
    words = [
        word[word.rindex("/") + 1 :] if word.startswith("/") and name in word else word
        for word in message.split(" ")
    ]
    return " ".join(words)
