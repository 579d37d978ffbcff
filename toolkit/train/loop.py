"""The training loop: the same for both frameworks, and without Ray.

It walks the sample plan in chunks of steps, evaluates exactly over all ranks, saves and restores
its state, and yields what happened. The adapter does the arithmetic.
"""

import functools
import time
from collections.abc import Iterator

import numpy as np

from toolkit.data.load import Dataset
from toolkit.data.plan import SamplePlan
from toolkit.recipe import Array
from toolkit.specs import Callback
from toolkit.train.adapter import Adapter
from toolkit.train.batches import Batches
from toolkit.train.cadence import ChunkSize, Due
from toolkit.train.clock import Clock
from toolkit.train.control import Control
from toolkit.train.evaluate import check_shapes, diverged, evaluate, golden, head
from toolkit.train.memory import Ledger, Memory
from toolkit.train.reports import Built, Checkpoint, Left, Progress, Report, Row, Trained
from toolkit.train.rounds import Rounds
from toolkit.train.settings import Settings
from toolkit.train.state import State
from toolkit.train.steps import next_end, stopping_steps, validated_epochs

_HISTOGRAM_SECONDS = 10.0


def fit(
    adapter: Adapter,
    dataset: Dataset,
    settings: Settings | None = None,
    control: Control | None = None,
    state: State | None = None,
) -> Iterator[Report]:
    """Train to the end of the recipe; yield what happens, and at last the trained model.

    Args:
        adapter: started, one a rank.
        dataset: the same on all ranks.
        settings: the same on all ranks; None for the defaults.
        control: where this rank is asked to leave and seen to be alive.
        state: to go on from, as an earlier `Checkpoint` held it; the same on all ranks.

    Raises:
        RecipeError: outputs and targets do not fit.
        ToolkitError: the loss became NaN or infinite.
    """
    check_shapes(adapter, dataset)
    loop = Loop(adapter, dataset, settings or Settings(), control or Control())
    if state is not None:
        loop.restore(state)
    yield from loop.run()


class Loop:
    """One training on one rank; `fit` is the way in."""

    def __init__(
        self, adapter: Adapter, dataset: Dataset, settings: Settings, control: Control
    ) -> None:
        recipe = adapter.recipe
        self._adapter, self._dataset = adapter, dataset
        self._settings, self._control = settings, control
        self._plan = SamplePlan(dataset.epoch_samples, recipe.global_batch, recipe.seed)
        self._total = recipe.epochs * self._plan.steps_per_epoch
        self._clock = Clock(self._plan)
        self._memory = Memory(recipe)
        self._ledger = Ledger(self._plan.samples, adapter.place.world) if settings.ledger else None
        self._batches = Batches(adapter, dataset.train, self._plan, self._ledger)
        self._rounds = Rounds(adapter, dataset, self._plan) if dataset.round_samples else None
        self._chunk = ChunkSize(self._batches.most_steps)
        self._due = Due(settings.checkpoint_every)
        self._callbacks: list[Callback] = recipe.callbacks() if recipe.callbacks else []
        self._losses = np.zeros(0)
        self._step = 0
        self._finished = False
        self._drawn = 0.0

    @property
    def _epoch(self) -> int:
        return self._step // self._plan.steps_per_epoch

    def run(self) -> Iterator[Report]:
        """Train from where the loop stands."""
        self._begin()
        yield self._built()
        recipe = self._adapter.recipe
        validated = validated_epochs(recipe)
        stops = stopping_steps(recipe, self._plan, self._settings, each_epoch=self._every_epoch)
        stops |= self._rounds.ends(self._total) if self._rounds else set()
        while not self._finished and self._step < self._total:
            self._play()
            end = next_end(self._plan, self._step, self._total, self._chunk.steps, stops)
            leave, save = self._train(range(self._step, end))
            rows = self._finish_epochs()
            self._judge(rows, validated)
            yield self._progress(rows)
            if save or leave:
                yield self._checkpoint()
            if leave and not self._finished and self._step < self._total:
                yield Left(self._step)
                return
        yield self._end()

    def state(self) -> State:
        """All that is needed to go on, on any number of workers; call it on every rank."""
        arrays = self._adapter.state() | {"loop.losses": self._losses}
        arrays |= {f"best.{name}": array for name, array in self._memory.best.items()}
        facts = self._memory.facts() | {"finished": self._finished}
        if self._ledger is not None:
            arrays["loop.ledger"] = self._adapter.all_sum(self._ledger.counts).copy()
            facts["workers"] = self._ledger.worlds
        if self._rounds is not None:
            arrays |= self._rounds.state(self._step)
            facts["scores"] = self._rounds.scores
        return State(self._step, arrays, facts)

    def restore(self, state: State) -> None:
        """Go on from `state`."""
        arrays = dict(state.arrays)
        groups = ("model.", "optimizer.")
        self._adapter.restore({n: a for n, a in arrays.items() if n.startswith(groups)})
        best = {n.removeprefix("best."): a for n, a in arrays.items() if n.startswith("best.")}
        self._memory.restore(state.facts, best)
        self._losses = np.array(arrays["loop.losses"], np.float64)
        self._step, self._finished = state.step, state.facts["finished"]
        if self._rounds is not None:
            self._batches.use(self._rounds.restore(state.step, arrays, state.facts["scores"]))
        if self._ledger is not None and self._adapter.place.rank == 0 and "loop.ledger" in arrays:
            self._ledger.restore(arrays["loop.ledger"], state.facts.get("workers", []))

    def _begin(self) -> None:
        self._control.doing("first steps", self._step)
        self._adapter.train_begin(self._adapter.recipe.epochs, self._epoch)
        for callback in self._callbacks:
            callback.on_train_begin(self._adapter.model)

    def _built(self) -> Built:
        wanted = self._settings.watch and self._adapter.place.rank == 0
        graph = self._adapter.graph(head(self._dataset.train).inputs) if wanted else None
        return Built(graph, self._adapter.batch_dependent())

    def _play(self) -> None:
        """Let the players bring the next steps' samples where there are players."""
        if self._rounds is not None and self._rounds.due(self._step):
            tick = functools.partial(self._control.doing, "playing", self._step)
            self._batches.use(self._rounds.play(self._step, tick))

    def _train(self, steps: range) -> tuple[bool, bool]:
        """Train some steps; return whether all ranks shall leave, and whether they shall save."""
        if self._clock.chunks:
            self._control.doing("steps", self._step)
        started = time.perf_counter()
        with self._clock.training(steps):
            shares = self._adapter.train(self._batches.chunk(steps))
            losses, leave, save, size = self._agree(shares, steps, time.perf_counter() - started)
        finite = np.isfinite(losses)
        if not finite.all():
            raise diverged(steps[int(finite.argmin())] // self._plan.steps_per_epoch + 1)
        self._losses = np.concatenate([self._losses, losses])
        self._step, self._chunk.steps = steps.stop, size
        return leave, save

    def _agree(self, shares: Array, steps: range, seconds: float) -> tuple[Array, bool, bool, int]:
        """Sum losses over all ranks; with them goes what rank 0 decides, and who was told to leave.

        One reduction for all, so that agreeing costs nothing.
        """
        votes = np.zeros(3)
        votes[0] = self._control.leave or steps.stop == self._settings.limit
        if self._adapter.place.rank == 0:
            per_epoch = self._plan.steps_per_epoch
            votes[1] = self._due.at(steps.stop, steps.stop // per_epoch > self._epoch)
            votes[2] = self._chunk.learn(len(steps), seconds)
        sums = self._adapter.all_sum(np.concatenate([shares, votes]))
        return sums[:-3], bool(sums[-3] > 0), bool(sums[-2] > 0), int(sums[-1])

    def _finish_epochs(self) -> list[Row]:
        """Rows of the epochs that ended with the last steps."""
        per_epoch, rows = self._plan.steps_per_epoch, list[Row]()
        if len(self._losses) < per_epoch:
            return rows
        sizes = np.full(per_epoch, self._plan.global_batch)
        sizes[-1] = self._plan.batch_size(per_epoch - 1)
        while len(self._losses) >= per_epoch:
            done, self._losses = self._losses[:per_epoch], self._losses[per_epoch:]
            epoch = (self._step - len(self._losses)) // per_epoch
            loss = float((done * sizes).sum() / self._plan.samples)
            rows.append({"epoch": epoch, "step": epoch * per_epoch, "loss": loss} | self._scores)
        self._memory.rows += rows
        return rows

    def _judge(self, rows: list[Row], validated: set[int]) -> None:
        """Validate the epoch that just ended where that is due, and decide whether to go on."""
        if not rows or self._losses.size:
            return
        row, stop = rows[-1], False
        if self._epoch in validated:
            self._validate(row)
        if self._memory.is_best(row):
            state = self._adapter.state()
            self._memory.best = {n: a for n, a in state.items() if n.startswith("model.")}
        self._control.doing("callbacks", self._step)
        stop = self._memory.out_of_patience(row)
        if self._epoch in validated or self._every_epoch:
            stop = self._adapter.epoch_end(self._epoch, row) or stop
        if self._callbacks:
            model = self._adapter.model
            asked = [bool(each.on_epoch_end(self._epoch, row, model)) for each in self._callbacks]
            stop = bool(self._adapter.all_sum(np.array([float(any(asked))]))[0] > 0) or stop
        self._finished = stop

    def _validate(self, row: Row) -> None:
        tick = functools.partial(self._control.doing, "validation", self._step)
        row |= evaluate(self._adapter, self._dataset.validation, row["epoch"], tick)

    def _progress(self, rows: list[Row]) -> Progress:
        loss = float(self._losses[-1]) if self._losses.size else self._memory.rows[-1]["loss"]
        ledger = []
        if self._ledger is not None and rows:
            totals = self._adapter.all_sum(self._ledger.counts)
            ledger = [self._ledger.close(self._epoch, self._step, totals)]
        return Progress(
            step=self._step,
            steps=self._total,
            epoch=self._epoch,
            epochs=self._adapter.recipe.epochs,
            loss=loss,
            samples_per_second=self._clock.speed,
            rows=rows,
            histograms=self._histograms(rows),
            ledger=ledger,
            scores=self._scores,
        )

    def _histograms(self, rows: list[Row]) -> dict[str, Array] | None:
        """Weights for TensorBoard at a validation, but not more often than can be looked at."""
        if not self._settings.watch or not rows or "val_loss" not in rows[-1]:
            return None
        wanted = time.monotonic() - self._drawn > _HISTOGRAM_SECONDS
        if self._adapter.all_sum(np.array([float(wanted and self._adapter.place.rank == 0)]))[0]:
            self._drawn = time.monotonic()
            arrays = self._adapter.state().items()
            return {n.replace("model.", "weights/", 1): a for n, a in arrays if n[:6] == "model."}
        return None

    def _checkpoint(self) -> Checkpoint:
        self._control.doing("saving", self._step)
        started = time.perf_counter()
        state = self.state()
        self._due.saved(time.perf_counter() - started)
        return Checkpoint(state, self._memory.rows[-1] if self._memory.rows else {})

    def _end(self) -> Trained:
        """Take the best weights where they are kept, and make all that outlives training."""
        adapter, rows = self._adapter, self._memory.rows
        self._control.doing("saving", self._step)
        last = rows[-1]
        for callback in self._callbacks:
            callback.on_train_end(last, adapter.model)
        adapter.train_end(last)
        if "val_loss" not in last:  # stopped early between two validations
            self._validate(last)
        metrics, notes = last, []
        best = self._memory.best_row
        if best is not None and self._memory.best:
            adapter.restore(self._memory.best)
            metrics = best
            notes.append(
                f"kept the weights of epoch {best['epoch']}, the best by {adapter.recipe.keep_best}"
            )
        files = adapter.files(head(self._dataset.train).inputs)
        facts = {"steps": self._step, "epochs": self._epoch, "notes": [*adapter.notes, *notes]}
        if self._rounds is not None:
            facts["seconds_played"] = self._rounds.seconds
        answers = golden(adapter, self._dataset).to_bytes()
        return Trained(files, answers, metrics, facts | self._clock.facts())

    @property
    def _scores(self) -> dict[str, float]:
        """Of the round that was trained on last."""
        return self._rounds.scores if self._rounds is not None else {}

    @property
    def _every_epoch(self) -> bool:
        """Whether something has to be done after every single epoch."""
        return bool(
            self._adapter.wants_epochs
            or self._callbacks
            or self._ledger is not None
            or "loss" in self._memory.monitored
        )
