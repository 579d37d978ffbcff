"""Plans of `train` and `run`: data, cores, steps, and the files of a new run."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit.artifacts import MODEL_FILES
from toolkit.assembly import Job
from toolkit.data.load import Dataset, Unread
from toolkit.data.plan import SamplePlan
from toolkit.planning.files import export_stage, verify_stage
from toolkit.planning.past import Past
from toolkit.planning.plan import Guess, Plan, Stage, new_run
from toolkit.recipe import TITLES, Recipe
from toolkit.runs import Run
from toolkit.settings_file import without_secrets
from toolkit.source import RecipeSource
from toolkit.train import cluster, resuming, training
from toolkit.train.resources import Allocation, allocate
from toolkit.train.session import Options


def plan_train(source: RecipeSource, options: Options, root: Path) -> Plan:
    """What `pipeline.train` would do.

    Raises:
        UsageError: recipe, data or resources do not fit.
    """
    stage = _train(source, options, root)
    return Plan("train", new_run(root, source.load().name), [stage])


def plan_run(job: Job, root: Path) -> Plan:
    """What `pipeline.run_all` would do.

    Raises:
        UsageError: recipe, data, resources or targets do not fit.
    """
    job.request.check(job.options.frameworks)
    name = job.source.load().name
    run = new_run(root, name)
    past = Past(root, name)
    export = export_stage(job.request, job.options.frameworks, name, past, run, best=job.best)
    loaded, _ = training.checked(job.source, job.options.frameworks, job.check)
    meanwhile = 0 if job.best else len(export.files)
    train = _train(job.source, job.options, root, loaded, files=meanwhile)
    if meanwhile and train.guess.basis.endswith("same training"):  # with the same files
        export = replace(export, guess=Guess(0.0, "training's time"))
    rows = export.facts["files"]
    if job.best:
        rows = {(row["framework"], row["target"]): row for row in rows}.values()
    cells = [(row["target"], row["precision"]) for row in rows]
    verify = verify_stage(cells, past, run)
    return Plan("run", run, [train, export, verify])


def plan_resume(run: Run, options: Options) -> Plan:
    """What `pipeline.resume` would do.

    Raises:
        UsageError: the run is complete or cannot go on.
    """
    options = resuming.options_of(run, options)
    stage = _train(run.source, options, run.path.parent, resuming.data_of(run))
    done = {row["framework"]: row["step"] for row in run.rows("metrics")}
    notes = [
        f"{TITLES[name]} ended an epoch at step {done[name]} before; it goes on from its newest "
        "checkpoint"
        for name in options.frameworks
        if name in done
    ]
    files = [
        file.replace(new_run(run.path.parent, run.card.name), str(run.path)) for file in stage.files
    ]
    stage = replace(stage, files=files, notes=[*stage.notes, *notes])
    return Plan("train --resume", str(run.path), [stage])


def plan_proof(source: RecipeSource, options: Options, steps: int, root: Path) -> Plan:
    """What `pipeline.prove` would do: two short trainings a framework, and no files."""
    options = training.for_proof(options)
    stage = _train(source, options, root, together=False)
    told = [*stage.told[:-1], f"{steps} optimizer steps on 1 and on several workers, compared"]
    facts = {**stage.facts, "steps": dict.fromkeys(options.frameworks, steps)}
    return Plan("train --prove", "", [Stage("prove", told, facts)])


def _train(
    source: RecipeSource,
    options: Options,
    root: Path,
    loaded: Dataset | Unread | None = None,
    *,
    files: int = 0,
    together: bool = True,
) -> Stage:
    recipe, names = source.load(), options.frameworks
    loaded = loaded or training.checked(source, names)[0]
    share = _share(options, recipe, len(names) if together else 1)
    samples = _samples(loaded)
    steps = {}
    if samples["train"] is not None:
        plan = SamplePlan(samples["train"], recipe.global_batch, recipe.seed)
        steps = dict.fromkeys(names, plan.steps_per_epoch * recipe.epochs)
    past, workers = Past(root, recipe.name), share.workers if share else 0
    facts: dict[str, Any] = {
        "recipe": recipe.name,
        "frameworks": list(names),
        "workers": workers or None,
        "threads": share.threads if share else None,
        "cpus": cluster.local_cpus() if share else None,
        "gpus": share.gpus if share else None,
        "side_by_side": share.side_by_side and together if share else None,
        "epochs": recipe.epochs,
        "global_batch": recipe.global_batch,
        "seed": recipe.seed,
        "steps": steps,
        "data": samples,
    }
    guess = past.training(names, workers, steps, files)
    written = _files(source, options, root)
    notes = ["torch/model.pt2 is left out where torch.export cannot trace the model"]
    return Stage(
        "train", _told(facts, options), facts, written, guess, notes if "torch" in names else []
    )


def _share(options: Options, recipe: Recipe, count: int) -> Allocation | None:
    """What the workers get on this machine; None on a cluster, which is not asked."""
    if options.address is not None:
        return None
    gpus = local_gpus()
    return allocate(options.workers, count, cluster.local_cpus(), gpus, recipe.global_batch)


def local_gpus(devices: Path = Path("/dev")) -> int:
    """GPUs that Ray will find here: NVIDIA's devices that CUDA_VISIBLE_DEVICES leaves."""
    there = len(list(devices.glob("nvidia[0-9]*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return there
    named = [name for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    return min(there, len(named))


def _samples(loaded: Dataset | Unread) -> dict[str, Any]:
    """Counts and forms, where they are known before streams are read."""
    if isinstance(loaded, Unread):
        return {"train": None, "validation": None, "streams": sorted(loaded.streams)}
    first = loaded.train.take(slice(0, 1))
    arrays = {**first.inputs, "targets": first.targets}
    return {
        "train": loaded.epoch_samples,
        "validation": len(loaded.validation),
        "shapes": {n: f"{a.dtype}{list(a.shape[1:])}" for n, a in arrays.items()},
    }


def _told(facts: Mapping[str, Any], options: Options) -> list[str]:
    names = " and ".join(TITLES[name] for name in facts["frameworks"])
    several = len(facts["frameworks"]) > 1
    how = (", side by side" if facts["side_by_side"] else ", one after another") if several else ""
    told = [f"recipe {facts['recipe']}, {names}{how if facts['workers'] else ''}"]
    if facts["workers"] is None:
        told.append(f"workers: as many as fit on the cluster at {options.address}, not asked now")
    else:
        gpus = f", {facts['gpus']} GPU each" if facts["gpus"] else ""
        told.append(
            f"{facts['workers']} worker{'s' if facts['workers'] > 1 else ''}"
            f"{' for each framework' if several else ''}, threads of each: {facts['threads']}"
            f"{gpus}; {facts['cpus']} CPUs here"
        )
    data = facts["data"]
    if data["train"] is None:
        told.append(f"data: streams ({', '.join(data['streams'])}), counted once Ray reads them")
        return [*told, f"{facts['epochs']} epochs in batches of {facts['global_batch']}"]
    shapes = ", ".join(f"{name} {shape}" for name, shape in data["shapes"].items())
    told.append(f"data: {data['train']:,} training, {data['validation']:,} validation; {shapes}")
    steps = next(iter(facts["steps"].values()))
    epochs = f"{facts['epochs']} epochs in batches of {facts['global_batch']}"
    return [*told, f"{epochs}: {steps:,} optimizer steps, seed {facts['seed']}"]


def _files(source: RecipeSource, options: Options, root: Path) -> list[str]:
    run = new_run(root, source.load().name)
    found = [f"{run}/run.json", f"{run}/recipe.py", f"{run}/metrics.jsonl"]
    found += [f"{run}/ledger.jsonl"] if options.ledger else []
    for name in options.frameworks:
        found += [f"{run}/{name}/{MODEL_FILES[name]}", f"{run}/{name}/golden.npz"]
        found += [f"{run}/{name}/model.pt2"] if name == "torch" else []
    if options.checkpoint_every != "never":
        place = options.checkpoint_dir
        above = training.below(place, Path(run).name) if place else f"{run}/checkpoints"
        found += [without_secrets(training.below(above, name)) for name in options.frameworks]
    return [*found, f"{run}/tensorboard/"]
