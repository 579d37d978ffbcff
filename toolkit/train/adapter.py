"""What a framework must offer to be trained by `toolkit.train.loop`. Knows nothing of Ray."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from toolkit.recipe import Array, Recipe


@dataclass(frozen=True)
class Place:
    """Where a worker stands among its peers.

    Attributes:
        rank: 0 to world - 1.
        world: number of workers.
        threads: CPU threads this worker may use.
        gpus: GPUs this worker was given; 0 trains on the CPU.
    """

    rank: int
    world: int
    threads: int = 1
    gpus: int = 0


@dataclass(frozen=True)
class Chunk:
    """Several consecutive steps of one replica, stacked so that one call trains them all.

    Attributes:
        first: number of the first step, counted from 0 over the whole run.
        inputs: by name, each [steps, batch, ...].
        targets: [steps, batch, ...].
        weights: [steps, batch] float32 factors of each sample's loss (sample times class weight);
            0 also marks a sample that only fills an empty shard.
        sizes: [steps] float32, samples of the *global* batch at each step.
        factors: [steps] float32 multipliers of the learning rate, or None to leave it alone.
    """

    first: int
    inputs: Mapping[str, Array]
    targets: Array
    weights: Array
    sizes: Array
    factors: Array | None

    def __len__(self) -> int:
        return len(self.sizes)


class Adapter(ABC):
    """One framework on one rank. All ranks call the same methods in the same order."""

    def __init__(self, recipe: Recipe, place: Place) -> None:
        self.recipe = recipe
        self.place = place
        self.notes: list[str] = []  # what the user should know about the result

    @property
    def replicas(self) -> int:
        """Model copies inside this worker: its GPUs under tf.distribute, otherwise one."""
        return 1

    @abstractmethod
    def start(
        self, peers: Sequence[str], example: Mapping[str, Array], weights: bytes | None = None
    ) -> None:
        """Meet the peers ('host:port' by rank), then build model and optimizer.

        Args:
            peers: one address a rank.
            example: inputs by name, each [1, ...], to build shapes from.
            weights: content of the file that the recipe's `start_from` names, or None.

        Raises:
            RecipeError: a builder fails, `weights` do not fit, or `frozen` matches nothing.
        """

    @property
    @abstractmethod
    def model(self) -> Any:
        """The framework's own model, for callbacks."""

    @abstractmethod
    def train(self, chunks: Sequence[Chunk]) -> Array:
        """Train one chunk a replica; return [steps] this worker's share of the mean loss.

        Gradients are the mean over the global batch: the loss of a replica is its weighted sum
        divided by the global batch's size, summed over all replicas. Clipping and loss scaling
        look at that mean gradient, so that all ranks decide alike.
        """

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """Copies of all that training changes: 'model.*' and 'optimizer.*' arrays.

        Called on every rank, since reading distributed variables may need all; the same names
        and values come back on each, for any number of workers.
        """

    @abstractmethod
    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Set what `state` returned, or its 'model.*' part alone; on every rank.

        Raises:
            RecipeError: names or shapes differ from this model's.
        """

    @abstractmethod
    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """Outputs [n, ...] in inference mode; local, so ranks may call it with different data."""

    def small_calls(self) -> AbstractContextManager[None]:
        """Around many calls of `predict` with few samples, whose threads would only wait."""
        return nullcontext()

    @abstractmethod
    def losses(self, outputs: Array, targets: Array) -> Array:
        """Loss of each sample, [n]; local."""

    @abstractmethod
    def all_sum(self, values: Array) -> Array:
        """Sum of a float64 vector over all workers, the same on each; the vector stays as it is."""

    @abstractmethod
    def files(self, example: Mapping[str, Array]) -> dict[str, bytes]:
        """The trained model in the framework's own safe formats, by file name.

        Called on every rank, since reading distributed variables may need all; rank 0's counts.
        """

    def graph(self, example: Mapping[str, Array]) -> bytes | None:
        """The model as a serialised TensorFlow `GraphDef` for TensorBoard, or None; rank 0 only."""
        return None

    def batch_dependent(self) -> list[str]:
        """Names of layers whose result depends on how a batch is split, each with the reason."""
        return []

    def train_begin(self, epochs: int, epoch: int = 0) -> None:
        """Hook for the framework's own callbacks, `epoch` of `epochs` done; so are the next two."""

    def epoch_end(self, epoch: int, logs: Mapping[str, float]) -> bool:
        """Return True to stop training."""
        return False

    def train_end(self, logs: Mapping[str, float]) -> None:
        """Called once after the last epoch."""

    @property
    def wants_epochs(self) -> bool:
        """Whether `epoch_end` must be called after every single epoch."""
        return False

    def stop(self) -> None:
        """Leave the group."""
