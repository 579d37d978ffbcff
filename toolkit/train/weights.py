"""Weights that a training starts from: read by the command, and kept with the run for resuming."""

from pathlib import Path

from toolkit.artifacts import MODEL_FILES
from toolkit.errors import NotFoundError, UsageError
from toolkit.recipe import TITLES, Recipe
from toolkit.runs import Run
from toolkit.source import RecipeSource

_WANTED = "give a file of weights, or the directory of a run; all runs: toolkit runs"


def read(source: RecipeSource, recipe: Recipe, framework: str) -> bytes | None:
    """The file that a framework's training starts from; of a run, its trained model.

    Raises:
        NotFoundError: there is neither such a file nor a run with that model.
    """
    name = recipe.weights_path(framework)
    if name is None:
        return None
    path, where = Path(source.origin).parent / name, f"recipe {recipe.name!r}, field 'start_from'"
    try:
        return _model_of(Run(path), framework) if path.is_dir() else path.read_bytes()
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}; {_WANTED}"
        raise NotFoundError(f"{where}: {problem}") from error
    except UsageError as error:
        raise NotFoundError(f"{where}: {error}") from error


def keep(run: Run, framework: str, content: bytes) -> None:
    """Keep with a run what its framework starts from."""
    run.write(f"{framework}/start_from", content)


def kept(run: Run, framework: str) -> bytes | None:
    """What `keep` kept, or None."""
    path = run.path / framework / "start_from"
    return path.read_bytes() if path.is_file() else None


def _model_of(run: Run, framework: str) -> bytes:
    if not (run.path / "run.json").is_file():
        raise NotFoundError(f"{run.path} is a folder, but no run; {_WANTED}")
    file = f"{framework}/{MODEL_FILES[framework]}"
    if framework in run.frameworks and (run.path / file).is_file():
        return run.read(file)
    raise NotFoundError(
        f"run {run.path} has no trained {TITLES[framework]} model; {_next(run, framework)}"
    )


def _next(run: Run, framework: str) -> str:
    facts = run.facts
    if not facts.get("recipe"):
        return "it was trained elsewhere: give its file of weights"
    if framework in set(facts.get("options", {}).get("frameworks", ())) - set(run.frameworks):
        return f"go on with it: toolkit train --resume {run.path}"
    return f"train one: toolkit train {facts['recipe']['origin']} --framework both"
