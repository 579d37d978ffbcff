"""Cutting a run into ranges of optimizer steps that one call can train. Pure."""

from toolkit.data.plan import SamplePlan
from toolkit.recipe import Recipe
from toolkit.train.settings import Settings


def next_end(plan: SamplePlan, first: int, total: int, limit: int, stops: set[int]) -> int:
    """End of the range of steps [first, end) that one call can train.

    A range holds at most `limit` steps of equal batch size and does not cross any of `stops`,
    step counts where something else has to happen.
    """
    per_epoch = plan.steps_per_epoch
    size = plan.batch_size(first % per_epoch)
    for end in range(first + 1, total + 1):
        if end == total or end in stops or end - first == limit:
            return end
        if plan.batch_size(end % per_epoch) != size:
            return end
    return total


def validated_epochs(recipe: Recipe) -> set[int]:
    """Epochs, counted from 1, after which the recipe wants a validation."""
    return {*range(recipe.validate_every, recipe.epochs + 1, recipe.validate_every), recipe.epochs}


def stopping_steps(
    recipe: Recipe, plan: SamplePlan, settings: Settings, *, each_epoch: bool
) -> set[int]:
    """Step counts that no range may cross: validations, checkpoints, and the limit.

    Args:
        recipe: what is trained.
        plan: its sample plan.
        settings: of the loop.
        each_epoch: whether something has to be done after every single epoch.
    """
    per_epoch, every = plan.steps_per_epoch, settings.checkpoint_every
    all_epochs = set(range(1, recipe.epochs + 1))
    epochs = all_epochs if each_epoch or every == "epoch" else validated_epochs(recipe)
    steps = {epoch * per_epoch for epoch in epochs}
    if isinstance(every, int):
        steps |= set(range(every, recipe.epochs * per_epoch, every))
    return steps | ({settings.limit} if settings.limit else set())
