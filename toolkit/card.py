"""A card: what a model means, apart from its weights. Export and verification go by it.

A trained run takes it from the recipe; a model from elsewhere gets it from the command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from toolkit.errors import UsageError
from toolkit.recipe import Recipe
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
    """

    name: str
    preprocessing: Mapping[str, Sequence[Mapping[str, Any]]] | Sequence[Mapping[str, Any]] = ()
    decision: str = "value"
    tolerance: float = 0.05
    labels: tuple[str, ...] | None = None
    probe: Probe | None = field(default=None, compare=False)
    metrics: tuple[str, ...] = ()
    input_name: str = "input"

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
        )

    def steps_for(self, input_name: str) -> list[dict[str, Any]]:
        """Preprocessing steps of one input, as plain data."""
        steps: Any = self.preprocessing
        if isinstance(steps, Mapping):
            steps = steps.get(input_name, ())
        return [dict(step) for step in steps]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {name: value for name, value in asdict(self).items() if name != "probe"}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave.

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
