"""What a training loop tells the driver."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.recipe import Array
from toolkit.train.state import State

Row = dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """What happened since the last report.

    Attributes:
        step: optimizer steps done.
        steps: of the whole run.
        epoch: epochs finished.
        epochs: of the whole run, unless it stops early.
        loss: of the last step.
        samples_per_second: over all workers.
        rows: one for each epoch that ended, with 'epoch', 'step', 'loss', where players bring
            the samples 'play_*' and, where validated, 'val_*'.
        histograms: weights by name, for TensorBoard, where they are due.
        ledger: one row for each epoch that ended, where the ledger is kept.
        scores: 'play_*' of the current round by name, where players bring the samples.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    samples_per_second: float
    rows: list[Row] = field(default_factory=list)
    histograms: Mapping[str, Array] | None = None
    ledger: list[Row] = field(default_factory=list)
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """The model, before its first step.

    Attributes:
        graph: a serialised TensorFlow `GraphDef` for TensorBoard, or None.
        batch_dependent: layers whose result depends on how a batch is split, with the reason.
    """

    graph: bytes | None
    batch_dependent: list[str]


@dataclass(frozen=True)
class Checkpoint:
    """A state that training can go on from; `row` is the last finished epoch's."""

    state: State
    row: Row


@dataclass(frozen=True)
class Left:
    """Training left off after `step` because it was asked to; a checkpoint came just before."""

    step: int


@dataclass(frozen=True)
class Trained:
    """What rank 0 hands over at the end.

    Attributes:
        files: the model's files by name.
        golden: golden vectors as .npz bytes.
        metrics: the row of the epoch whose weights the model has.
        facts: steps, seconds and the like, for run.json.
    """

    files: Mapping[str, bytes]
    golden: bytes
    metrics: Row
    facts: Mapping[str, Any]


Report = Progress | Built | Checkpoint | Left | Trained
