"""From a run's proven files to those who use them: figures, bundles, servers, a report.

The stages after `toolkit.pipeline.verify`, which names these too; none loads a framework.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.artifacts import Export
from toolkit.bench import table
from toolkit.bench.measure import BenchQuestion, BenchRow
from toolkit.bench.stage import bench as bench_stage
from toolkit.bundle.stage import Wanted
from toolkit.bundle.stage import bundle as bundle_stage
from toolkit.data.evidence import evidence_of
from toolkit.data.load import preprocess
from toolkit.errors import NotFoundError
from toolkit.files import make_directory, write_bytes, write_json
from toolkit.hosts import ChildProcesses
from toolkit.models.source import read
from toolkit.report.facts import Facts
from toolkit.report.stage import report as report_stage
from toolkit.runs import Run
from toolkit.runs_folder import find_run

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from toolkit.serve.repository import Source


def bench(run: Run, threads: int, batch: int, seconds: float) -> list[BenchRow]:
    """Measure a run's .tflite and .onnx files, one after another; bench.json keeps the figures.

    Raises:
        NotFoundError: nothing was exported yet.
    """
    rows = []
    known = "recipe" in run.facts or evidence_of(run).validation is not None
    with ChildProcesses() as children:
        for export in bench_files_of(run):
            golden = run.golden(export.framework)
            question = BenchQuestion(
                inputs=preprocess(run.card, golden.inputs),
                targets=golden.targets if run.card.metrics and known else None,
                reference=golden.outputs,
                metric=next(iter(run.card.metrics), ""),
                decision=run.card.decision,
                tolerance=run.card.tolerance,
                batch=export.batch or batch,
                threads=threads,
                seconds=seconds,
            )
            name = Path(export.file).name
            files = {name: run.read(export.file)}
            rows += bench_stage(files, question, children, lambda file: run.log(f"bench-{file}"))
    hashes = {Path(export.file).name: export.sha256 for export in run.exports}
    kept = [row | {"sha256": hashes[row["file"]]} for row in table.to_json(rows)]
    write_json(run.path / "bench.json", {"run": run.name, "files": kept})
    return rows


def bench_files_of(run: Run) -> list[Export]:
    """The files of a run that `bench` measures.

    Raises:
        NotFoundError: nothing was exported yet.
    """
    found = [export for export in run.exports if export.target in ("tflite", "onnx")]
    if not found:
        raise NotFoundError(f"run {run.name} has no exported files; export first: toolkit export")
    return found


def bench_files(paths: Sequence[Path], threads: int, batch: int, seconds: float) -> list[BenchRow]:
    """Measure model files from anywhere, one after another."""
    files = {str(path): read(str(path)).content for path in paths}
    question = BenchQuestion(batch=batch, threads=threads, seconds=seconds)
    with ChildProcesses() as children, tempfile.TemporaryDirectory() as logs:
        return bench_stage(files, question, children, lambda _: Path(logs) / "bench.log")


def bundle(run: Run, wanted: Wanted, signers: Sequence["Signer"], output: Path | None) -> Path:
    """Make one signed file of a run's verified models; return its path.

    Raises:
        CheckError: a file has no passing verification.
        UsageError: the run's files do not make a bundle.
    """
    name, content = bundle_stage(run, wanted, signers)
    path = bundle_path(run, name, output)
    if output is None:
        make_directory(path.parent)
    write_bytes(path, content)
    return path


def bundle_path(run: Run, name: str, output: Path | None) -> Path:
    """Where a bundle of that name is written: in the run, in the folder `output`, or to it."""
    if output is None:
        return run.path / "bundles" / name
    return output / name if output.is_dir() else output


def serve_sources(
    references: Sequence[str], root: Path, scratch: Path, wanted: Wanted
) -> list["Source"]:
    """What `toolkit.serve` takes: files and folders as they are, runs as bundles.

    Args:
        references: '[NAME=]MODEL'; a MODEL is a path, or a run's name. None: the latest run.
        root: folder of all runs.
        scratch: where bundles of runs are written.
        wanted: of runs: framework (None: each as a model of its own) and precisions.

    Raises:
        NotFoundError: there is no such file or run.
        CheckError: a run's files have no passing verification.
    """
    from toolkit.serve.repository import Source

    found: list[Source] = []
    for reference in references or ("",):
        name, _, path = reference.rpartition("=")
        if path and Path(path).exists() and not (Path(path) / "run.json").is_file():
            found.append(Source.parse(reference))
            continue
        if path and Path(path).suffix in (".edge", ".onnx", ".tflite"):
            raise NotFoundError(f"there is no file {path}; check the path")
        found += _bundled(find_run(root, path or None), name, scratch, wanted)
    return found


def _bundled(run: Run, name: str, scratch: Path, wanted: Wanted) -> list["Source"]:
    from toolkit.serve.repository import Source

    exported = {each.framework for each in run.exports if each.target in ("tflite", "onnx")}
    chosen: Sequence[str | None] = [wanted.framework] if wanted.framework else sorted(exported)
    frameworks = chosen or [None]
    sources = []
    for framework in frameworks:
        title = name or run.card.name
        title += f"-{framework}" if len(frameworks) > 1 else ""
        _, content = bundle_stage(run, replace(wanted, framework=framework), ())
        path = scratch / f"{title}.edge"
        write_bytes(path, content)
        sources.append(Source(title, path))
    return sources


def report(run: Run, output: Path | None) -> tuple[Facts, Path]:
    """Write one HTML file that tells all about a run; return what it tells, and its path.

    Args:
        run: trained or adopted, to its end or not.
        output: the file, or a folder for it; None is report.html in the run.

    Raises:
        UsageError: the run is damaged.
        StorageError: the file cannot be written.
    """
    with ChildProcesses() as children:
        facts, content = report_stage(run, children)
    if output is None:
        return facts, run.write("report.html", content)
    path = output / f"{run.name}.html" if output.is_dir() else output
    write_bytes(path, content)
    return facts, path
