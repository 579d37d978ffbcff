"""A card: what a model means, apart from its weights. Export and verification go by it.

A trained run takes it from the recipe; a model from elsewhere gets it from the command line.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from toolkit.errors import UsageError
from toolkit.recipe import Preprocessing, Recipe, Steps, steps_of
from toolkit.specs import Probe


@dataclass(frozen=True)
class Card:
    """Round trip: `Card.from_json(card.to_json())` means the same; a probe is not kept.

    Attributes:
        name: of the model; letters, digits, '-' and '_'.
        preprocessing: steps (see `edge.steps`) by input name.
        decision: 'argmax', 'sign' or 'value', about the first output.
        tolerance: for 'value': a distance from the reference that leaves a decision unchanged.
        labels: class names in order, or None.
        probe: a known question and answer, or None.
        metrics: names out of `recipe_checks.METRICS`; the first one is what gates look at.
        input_name: of the only input where samples have no names.
        postprocessing: steps of the first output on the device; nothing else goes by them.
    """

    name: str
    preprocessing: Preprocessing = ()
    decision: str = "value"
    tolerance: float = 0.05
    labels: tuple[str, ...] | None = None
    probe: Probe | None = field(default=None, compare=False)
    metrics: tuple[str, ...] = ()
    input_name: str = "input"
    postprocessing: Steps = ()

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """The card of what a recipe trains."""
        return cls(
            name=recipe.name,
            preprocessing=recipe.preprocessing,
            decision=recipe.decides_by,
            tolerance=recipe.tolerance,
            labels=recipe.labels,
            probe=recipe.probe,
            metrics=recipe.metrics,
            input_name=recipe.input_name,
            postprocessing=recipe.postprocessing,
        )

    def steps_for(self, input_name: str) -> list[dict[str, Any]]:
        """Preprocessing steps of one input, as plain data."""
        return steps_of(self.preprocessing, input_name)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {name: value for name, value in asdict(self).items() if name != "probe"}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave; `postprocessing` may be missing, as older runs lack it.

        Raises:
            UsageError: a field is missing or unknown.
        """
        try:
            known = dict(value)
            for name in ("labels", "metrics"):
                known[name] = None if known[name] is None else tuple(known[name])
            return cls(**known)
        except (TypeError, KeyError) as error:
            raise UsageError(f"the card in run.json is damaged: {error}; adopt again") from error
