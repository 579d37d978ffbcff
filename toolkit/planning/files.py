"""Plans of what is done with trained models: `export`, `verify`, `bench` and `bundle`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import pipeline
from toolkit.artifacts import title_of
from toolkit.assembly import calibration_of, models_for
from toolkit.bundle.stage import Wanted, contents
from toolkit.export.request import Request
from toolkit.models.source import read
from toolkit.planning.past import Past, measuring
from toolkit.planning.plan import Guess, Plan, Stage, new_run
from toolkit.runs import Run
from toolkit.verify.stage import files_of, runtimes_of

_MOMENT = Guess(1.0, "what such files take")


def plan_export(run: Run, request: Request, frameworks: Sequence[str], *, best: bool) -> Plan:
    """What `pipeline.export` or, with `best`, `pipeline.best` would do.

    Raises:
        ToolkitError: as they do, where that shows before anything is started.
    """
    request.check(frameworks)
    models_for(run, frameworks)
    if request.static and not best:
        calibration_of(run)
    past = Past(run.path.parent, run.card.name)
    stage = export_stage(request, frameworks, run.card.name, past, str(run.path), best=best)
    return Plan("export", str(run.path), [stage])


def plan_adoption(
    adoption: pipeline.Adoption, root: Path, request: Request, *, targets_given: bool, best: bool
) -> Plan:
    """What `pipeline.adopt` and then `pipeline.export` would do; the model is not opened.

    Raises:
        ToolkitError: there is no such model, or it has no such target.
    """
    model = read(adoption.model, adoption.weights)
    frameworks = (model.framework,)
    request = request if targets_given else request.fitting(frameworks)
    request.check(frameworks)
    card = adoption.card(None)
    run = new_run(root, card.name)
    title = title_of(model.framework)
    told = [f"{adoption.model}, {model.kind}, opened in a {title} process"]
    files = [f"{run}/run.json", *(f"{run}/{model.framework}/{name}" for name in model.files)]
    files.append(f"{run}/{model.framework}/golden.npz")
    unsure = adoption.name is None and model.kind in ("onnx", "tflite")
    notes = ["a file that says its own name is called by that"] if unsure else []
    facts = {"model": adoption.model, "kind": model.kind, "framework": model.framework}
    past = Past(root, card.name)
    adopt = Stage("adopt", told, facts, files, notes=notes)
    export = export_stage(request, frameworks, card.name, past, run, best=best)
    return Plan("export", run, [adopt, export])


def plan_verify(run: Run) -> Plan:
    """What `pipeline.verify` would do.

    Raises:
        NotFoundError: nothing was exported yet.
    """
    cells = [(export.target, export.precision) for export in files_of(run)]
    past = Past(run.path.parent, run.card.name)
    return Plan("verify", str(run.path), [verify_stage(cells, past, str(run.path))])


def plan_bench(run: Run, threads: int, batch: int, seconds: float) -> Plan:
    """What `pipeline.bench` would do.

    Raises:
        NotFoundError: nothing was exported yet.
    """
    files = [export.file for export in pipeline.bench_files_of(run)]
    told = [
        f"{_counted(len(files))}, one after another, batch {batch}, threads {threads}",
        *(f"  {file}" for file in files),
    ]
    facts = {"measured": files, "threads": threads, "batch": batch, "seconds_each": seconds}
    guess = measuring(len(files), seconds)
    stage = Stage("bench", told, facts, [f"{run.path}/bench.json"], guess)
    return Plan("bench", str(run.path), [stage])


def plan_bundle(run: Run, wanted: Wanted, signatures: int, output: Path | None) -> Plan:
    """What `pipeline.bundle` would do.

    Raises:
        ToolkitError: as it does.
    """
    name, exports, passed = contents(run, wanted)
    path = pipeline.bundle_path(run, name, output)
    signed = f"signed by {signatures} key{'s' if signatures > 1 else ''}" if signatures else ""
    told = [
        f"{_counted(len(exports))}, the preferred first, {signed or 'without a signature'}",
        *(f"  {export.file}, {export.bytes / 1000:,.1f} kB" for export in exports),
    ]
    facts: dict[str, Any] = {
        "models": [export.file for export in exports],
        "verified": passed,
        "signatures": signatures,
    }
    notes = [] if passed else ["not all of them passed a verification, which the bundle says"]
    return Plan(
        "bundle", str(run.path), [Stage("bundle", told, facts, [str(path)], _MOMENT, notes)]
    )


def export_stage(
    request: Request,
    frameworks: Sequence[str],
    name: str,
    past: Past,
    run: str,
    *,
    best: bool = False,
) -> Stage:
    """The files of a request, by the request's own names.

    Args:
        request: checked.
        frameworks: whose models.
        name: of the model.
        past: of that model.
        run: path of the run.
        best: whether only the smallest good precision of each cell stays.
    """
    cells = [
        (framework, target, precision)
        for framework, target in request.cells(frameworks)
        for precision in request.precisions_of(target)
    ]
    rows = [
        {"framework": fw, "target": target, "precision": precision}
        | {"file": f"{run}/exports/{request.file_name(name, fw, target, precision)}"}
        for fw, target, precision in cells
    ]
    titles = " and ".join(title_of(each) for each in frameworks)
    precisions = ", ".join(request.precisions)
    told = [f"{titles} to {', '.join(request.targets)} in {precisions}: {_counted(len(rows))}"]
    notes = ["of each model and target the smallest that passes stays"] if best else []
    files = [row["file"] for row in rows]
    return Stage("export", told, {"files": rows}, files, past.exporting(cells), notes)


def verify_stage(cells: Sequence[tuple[str, str]], past: Past, run: str) -> Stage:
    """All files in every runtime that can read them.

    Args:
        cells: target and precision of each file.
        past: of that model.
        run: path of the run.
    """
    runtimes = [name for target, precision in cells for name in runtimes_of(target, precision)]
    counts = {name: runtimes.count(name) for name in dict.fromkeys(runtimes)}
    shown = ", ".join(f"{name} {count}" for name, count in counts.items())
    told = [f"{_counted(len(cells))}, {len(runtimes)} checks: {shown}"]
    facts = {"files": len(cells), "checks": counts}
    return Stage("verify", told, facts, [f"{run}/verification.json"], past.verifying(len(cells)))


def _counted(files: int) -> str:
    return f"{files} file{'' if files == 1 else 's'}"
