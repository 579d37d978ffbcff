"""The report stage: what is known about a run is gathered, and becomes one HTML file.

Nothing is trained, exported or measured here. Only the golden vectors are run through the exported
files, to tell which answers changed.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import fields
from pathlib import Path
from typing import Any

from toolkit import recipes
from toolkit.artifacts import Check, Export, Golden, files_hash
from toolkit.card import Card
from toolkit.data.load import preprocess
from toolkit.errors import StoppedError, ToolkitError
from toolkit.hosts import Host
from toolkit.report.answers import first_output
from toolkit.report.commands import commands_of
from toolkit.report.confusion import Comparison, Reference, compare
from toolkit.report.curves import charts_of
from toolkit.report.facts import Facts, Verified
from toolkit.report.kept import bundles_of, ladder_of, measured_of, ordered, trained_of
from toolkit.report.page import page
from toolkit.runs import Run

_SETTINGS = ("seed", "epochs", "global_batch")


def report(run: Run, children: Host) -> tuple[Facts, bytes]:
    """What is known about a run, and the page that tells it; the same run gives the same bytes.

    Args:
        run: trained or adopted, to its end or not.
        children: where exported files are run, each in a fresh process.

    Raises:
        UsageError: run.json or verification.json is damaged.
    """
    facts = gather(run, children)
    return facts, page(facts).encode()


def gather(run: Run, children: Host) -> Facts:
    """What is known about a run."""
    recorded, exports = run.facts, ordered(run.exports)
    golden = _golden(run)
    card = _card(run)
    comparisons, unanswered = _comparisons(run, card, golden, exports, children)
    ladder, measured = ladder_of(recorded), measured_of(run, exports)
    recipe = recorded.get("recipe") or {}
    return Facts(
        name=str(recipe.get("name") or recorded.get("card", {}).get("name") or run.name),
        run=run.name,
        status=str(recorded["status"]),
        created=str(recorded["created"]),
        error=str(recorded.get("error") or ""),
        recipe=Path(str(recipe.get("origin", ""))).name,
        data={k: v for k, v in recorded.get("data", {}).items() if k != "records"},
        inputs=_inputs(golden),
        task="" if card is None else card.decision,
        settings={name: recorded[name] for name in _SETTINGS if recorded.get(name) is not None},
        versions={k: v for k, v in recorded.get("versions", {}).items() if v},
        machine=recorded.get("machine", {}),
        trained=trained_of(recorded),
        charts=charts_of(run.rows("metrics")),
        exports=exports,
        verified=_verified(run, exports),
        ladder=ladder,
        measured=measured,
        bundles=bundles_of(run),
        comparisons=comparisons,
        unanswered=unanswered,
        labels=None if card is None else card.labels,
        hashes=_hashes(run, recorded, exports),
        commands=commands_of(
            recorded,
            exports,
            built_in=_built_in(recipe),
            laddered=[(rung.framework, rung.target) for rung in ladder if not rung.reason],
            measured=bool(measured),
        ),
    )


def _card(run: Run) -> Card | None:
    """None where the recipe cannot be read any more, which makes a poorer report."""
    try:
        return run.card
    except ToolkitError:
        return None


def _golden(run: Run) -> dict[str, Golden]:
    found = {}
    for framework in run.frameworks:
        try:
            found[framework] = run.golden(framework)
        except ToolkitError:  # a run that was stopped has none yet
            continue
    return found


def _inputs(golden: Mapping[str, Golden]) -> tuple[str, ...]:
    for one in golden.values():
        return tuple(
            f"{name} text"
            if array.dtype.kind in "OUS"
            else f"{name} {array.dtype}[{', '.join(map(str, array.shape[1:]))}]"
            for name, array in one.inputs.items()
        )
    return ()


def _built_in(recipe: Mapping[str, Any]) -> bool:
    """Whether a recipe ships with the package, wherever that was installed."""
    origin = Path(str(recipe.get("origin", "")))
    shipped = Path(str(recipes.__file__)).parent / origin.name
    return origin.parent.parts[-2:] == ("toolkit", "recipes") and shipped.is_file()


def _verified(run: Run, exports: tuple[Export, ...]) -> Verified:
    found = run.verification
    hashes = {export.file: export.sha256 for export in exports}
    known = {field.name for field in fields(Check)}
    rows = found["checks"] if found else []
    checks = tuple(
        Check(**{name: value for name, value in row.items() if name in known})
        for row in rows
        if hashes.get(row["file"]) == row.get("sha256")
    )
    checked = {check.file for check in checks}
    left_out = found.get("left_out", []) if found else []
    return Verified(
        checks,
        tuple(export.file for export in exports if export.file not in checked),
        tuple((row["file"], row["runtime"], row["why"]) for row in left_out),
        found.get("seconds") if found else None,
    )


def _comparisons(
    run: Run,
    card: Card | None,
    golden: Mapping[str, Golden],
    exports: Sequence[Export],
    children: Host,
) -> tuple[tuple[Comparison, ...], tuple[tuple[str, str], ...]]:
    """Golden vectors before and after export; and files that could not be asked, and why."""
    if card is None:
        return (), ()
    pending = {
        export: _ask(run, card, golden[export.framework], export, children)
        for export in exports
        if export.target in ("tflite", "onnx") and export.framework in golden
    }
    outputs: dict[str, dict[str, Any]] = {}
    unanswered: list[tuple[str, str]] = []
    for export, future in pending.items():
        name = Path(export.file).name
        try:
            outputs.setdefault(export.framework, {})[name] = future.result()
        except StoppedError:
            raise
        except ToolkitError as error:
            unanswered.append((name, str(error).splitlines()[0]))
    found: list[Comparison] = []
    for framework, answered in outputs.items():
        reference = Reference(golden[framework], card, known="recipe" in run.facts)
        found += compare(framework, reference, answered)
    return tuple(found), tuple(unanswered)


def _ask(run: Run, card: Card, golden: Golden, export: Export, children: Host) -> "Future[Any]":
    """Start to run the golden vectors through a file."""
    name = Path(export.file).name
    try:
        content = run.read(export.file)
        if files_hash({"": content}) != export.sha256:
            raise ToolkitError("the file was changed after export; export it again")
        ready = preprocess(card, golden.inputs)
    except ToolkitError as error:
        failed: Future[Any] = Future()
        failed.set_exception(error)
        return failed
    done = {each: len(card.steps_for(each)) for each in golden.inputs}
    return children.submit(first_output, content, name, ready, done, log=run.log(f"report-{name}"))


def _hashes(
    run: Run, recorded: Mapping[str, Any], exports: tuple[Export, ...]
) -> tuple[tuple[str, str], ...]:
    """What this run came from and what came out, in that order."""
    found = [
        (what, str(recorded[what]["sha256"]))
        for what in ("recipe", "data")
        if (recorded.get(what) or {}).get("sha256")
    ]
    for framework in sorted(run.frameworks):
        folder = run.path / framework
        found += [
            (f"{framework}/{file.name}", files_hash({"": file.read_bytes()}))
            for file in (sorted(folder.iterdir()) if folder.is_dir() else ())
            if file.is_file()
        ]
    calibrations = dict.fromkeys(export.calibration for export in exports if export.calibration)
    found += [("calibration samples", calibration) for calibration in calibrations]
    return (*found, *((export.file, export.sha256) for export in exports))
