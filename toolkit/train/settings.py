"""How a training loop runs, apart from the recipe: plain numbers for every rank."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Options of `toolkit.train.loop.fit`; the same on all ranks.

    Attributes:
        checkpoint_every: 'epoch', a number of optimizer steps, 'never', or 'auto': at the end of an
            epoch, at most every two seconds and for less than 2 % of the time, and at least once
            a minute.
        limit: leave with a checkpoint after this optimizer step, or None to train to the end.
        ledger: count how often each sample was trained in each epoch.
        watch: send histograms and the graph for TensorBoard.
    """

    checkpoint_every: str | int = "auto"
    limit: int | None = None
    ledger: bool = False
    watch: bool = True
