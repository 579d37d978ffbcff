"""What stages are given: a recipe with its options, a run's models, its samples, a verifier.

Asked by the pipeline, by its two faces `api` and `cli_*`, and by the plans of --dry-run, so that
all of them mean the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from toolkit.artifacts import title_of
from toolkit.card import Card
from toolkit.data.evidence import Calibration, Evidence, calibrate, evidence_of
from toolkit.data.load import Dataset
from toolkit.errors import DataError, UsageError
from toolkit.export.request import Request
from toolkit.hosts import Host
from toolkit.models.adopt import models_of
from toolkit.models.predict import predict
from toolkit.models.source import ModelSource
from toolkit.runs import Run
from toolkit.source import RecipeSource, find, named_frameworks, select_frameworks
from toolkit.train.session import Options
from toolkit.verify.check import Evaluation
from toolkit.verify.stage import Verifier

OVERRIDES = ("epochs", "seed", "deterministic")
"""Fields of a recipe that are given beside it."""


@dataclass(frozen=True)
class Limits:
    """How good an exported file must be; None takes the precision's own limit.

    Attributes:
        min_agreement: least share of unchanged decisions, 0 to 1.
        max_drop: greatest loss of the task's metric.
    """

    min_agreement: float | None = None
    max_drop: float | None = None


@dataclass(frozen=True)
class Job:
    """All that `toolkit.pipeline.run_all` does.

    Attributes:
        source: the recipe.
        options: how to train it.
        request: which files to export; with `best`, which may be tried.
        limits: how good they must be.
        best: keep only the smallest precision that passes, of each model and target.
    """

    source: RecipeSource
    options: Options
    request: Request
    limits: Limits = Limits()
    best: bool = False

    def check(self, dataset: Dataset) -> None:
        """Refuse data with too few samples for the files, before they are trained on.

        Raises:
            DataError: static quantisation lacks samples, and no other precision will do.
        """
        if self.request.static and not self.best:
            calibrate(Evidence(dataset.train, dataset.validation), Card.of(self.source.load()))


def to_train(
    recipe: str | PathLike[str] | RecipeSource, framework: str | None, how: Mapping[str, Any]
) -> tuple[RecipeSource, Options]:
    """A recipe with its overrides, and how to train it.

    Args:
        recipe: its name, the path of its file, or its text.
        framework: 'tf', 'torch', 'both', or None for all that the recipe has.
        how: `OVERRIDES` and fields of `Options` by name; None counts as not given.

    Raises:
        UsageError: there is no such recipe, or it does not fit.
    """
    given = {name: value for name, value in how.items() if value is not None}
    overrides = {name: given.pop(name) for name in OVERRIDES if name in given}
    if isinstance(recipe, RecipeSource):
        source = RecipeSource(recipe.text, recipe.origin, {**recipe.overrides, **overrides})
    elif isinstance(recipe, str | PathLike):
        source = find(str(recipe), overrides)
    else:
        raise UsageError(
            f"a {type(recipe).__name__} is no recipe that can travel to workers; give its name, "
            "the path of its file, or RecipeSource(text, origin)"
        )
    return source, Options(select_frameworks(source, framework or "auto"), **given)


def frameworks_of(run: Run, framework: str | None) -> tuple[str, ...]:
    """Whose models of a run are meant by 'tf', 'torch', 'both', or None for all of them.

    Raises:
        UsageError: there is no such framework.
    """
    return run.frameworks if framework is None else named_frameworks(framework)


def models_for(run: Run, frameworks: Sequence[str]) -> dict[str, ModelSource]:
    """A run's models of these frameworks.

    Raises:
        UsageError: it was not trained with one of them.
    """
    for framework in frameworks:
        if framework not in run.frameworks:
            has = ", ".join(run.frameworks) or "nothing yet"
            train = f"train one: toolkit train {run.card.name} --framework {framework}"
            raise UsageError(
                f"run {run.name} has no {title_of(framework)} model (it has {has}); "
                f"{train if 'recipe' in run.facts else 'leave --framework out'}"
            )
    models = models_of(run)
    return {framework: models[framework] for framework in frameworks}


def calibration_of(run: Run) -> Calibration:
    """Samples that static quantisation sees.

    Raises:
        DataError: the run has none.
    """
    return calibrate(evidence_of(run), run.card)


def calibration_or_why(run: Run) -> Calibration | DataError:
    """Samples that static quantisation sees, or why there are none."""
    try:
        return calibration_of(run)
    except DataError as error:
        return error


def verifier_of(run: Run, limits: Limits, children: Host, tensorflow: Host) -> Verifier:
    """What checks a run's files; models are asked about the whole validation split first.

    Args:
        run: whose files.
        limits: how good they must be.
        children: where files and models are run.
        tensorflow: where TFLite files are converted for onnxruntime.
    """
    return Verifier(
        run,
        children,
        tensorflow,
        min_agreement=limits.min_agreement,
        max_drop=limits.max_drop,
        evaluation=_evaluation(run, children),
    )


def _evaluation(run: Run, children: Host) -> dict[str, Evaluation]:
    """What the models answer on the whole validation split, where that is more than golden."""
    validation = evidence_of(run).validation
    found: dict[str, Evaluation] = {}
    for framework, model in models_of(run).items():
        whole = "recipe" in run.facts and len(run.golden(framework).targets) == len(
            validation or ()
        )
        if validation is None or whole:
            continue
        samples = validation.take(slice(None))
        log = run.log(f"evaluate-{framework}")
        outputs = children.submit(predict, model, samples.inputs, log=log).result()
        found[framework] = Evaluation(samples.inputs, outputs, samples.targets)
    return found
