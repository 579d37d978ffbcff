"""What a framework must offer to be trained by `toolkit.train.loop`. Knows nothing of Ray."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        inputs: by name, each [steps, batch, ...].
        targets: [steps, batch, ...].
        weights: [steps, batch] float32; 0 marks a sample that only fills an empty shard.
        sizes: [steps] float32, samples of the *global* batch at each step.
        factors: [steps] float32 multipliers of the learning rate, or None to leave it alone.
    """

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
    def start(self, peers: Sequence[str], example: Mapping[str, Array]) -> None:
        """Meet the peers ('host:port' by rank), then build model and optimizer.

        Args:
            peers: one address a rank.
            example: inputs by name, each [1, ...], to build shapes from.
        """

    @abstractmethod
    def train(self, chunks: Sequence[Chunk]) -> Array:
        """Train one chunk a replica; return [steps] this worker's share of the mean loss.

        Gradients are the mean over the global batch: the loss of a replica is its weighted sum
        divided by the global batch's size, summed over all replicas.
        """

    @abstractmethod
    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """Outputs [n, ...] in inference mode; local, so ranks may call it with different data."""

    @abstractmethod
    def losses(self, outputs: Array, targets: Array) -> Array:
        """Loss of each sample, [n]; local."""

    @abstractmethod
    def all_sum(self, values: Array) -> Array:
        """Sum of a float64 vector over all workers; the same result on every rank."""

    @abstractmethod
    def files(self, example: Mapping[str, Array]) -> dict[str, bytes]:
        """The trained model in the framework's own safe formats, by file name.

        Called on every rank, since reading distributed variables may need all; rank 0's counts.
        """

    def train_begin(self, epochs: int) -> None:
        """Hook for the framework's own callbacks; so are the next two."""

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
