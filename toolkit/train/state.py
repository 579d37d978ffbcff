"""Everything a training needs to go on: what a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.recipe import Array


@dataclass(frozen=True)
class State:
    """A training between two optimizer steps, on any number of workers.

    The position in the sample plan and in the schedule follows from `step`, random numbers follow
    from the seed, `step` and rank (torch) or from seed generators among the arrays (Keras).

    Attributes:
        step: optimizer steps done.
        arrays: by name. 'model.*' are the model's weights and buffers, 'optimizer.*' slots and
            loss scale, 'best.*' the best weights so far, 'loop.*' what the loop keeps.
        facts: JSON values: rows of finished epochs, what early stopping has seen.
    """

    step: int
    arrays: Mapping[str, Array]
    facts: Mapping[str, Any] = field(default_factory=dict)
