"""The results of stages as tables: which columns, and how each value is shown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.artifacts import Check, Export, title_of
from toolkit.bench.measure import BenchRow
from toolkit.ladder import Rung
from toolkit.runs import Run
from toolkit.train.prove import Proof

if TYPE_CHECKING:  # rich's parts are imported where they are used: --help needs none
    from rich.table import Table

_NUMERIC = {"batch", "size", "seconds", "probe", "error", "kept", "exports", "steps", "drop"}
_NUMERIC |= {"difference", "load", "p50", "p90", "p99", "samples/s", "memory"}


def exports(rows: Sequence[Export]) -> "Table":
    """The exported files."""
    table = _table("file", "from", "batch", "size", "seconds")
    for export in rows:
        batch = "any" if export.batch is None else str(export.batch)
        name, title = Path(export.file).name, title_of(export.framework)
        table.add_row(name, title, batch, _size(export.bytes), f"{export.seconds:.1f}")
    return table


def checks(rows: Sequence[Check]) -> "Table":
    """The verification; the task's metric only where one was judged."""
    judged = any(check.metric for check in rows)
    columns = ["file", "runtime", "probe", "error", "kept"]
    columns += ["metric", "drop", "95 % interval"] if judged else []
    table = _table(*columns, "result")
    for check in rows:
        cells = [
            Path(check.file).name,
            _without_version(check.runtime),
            _probe(check),
            "-" if check.error is None else f"{check.error:.1e}",
            _share(check.kept),
        ]
        cells += _judged(check) if judged else []
        table.add_row(*cells, "[green]pass[/]" if check.passed else "[red]FAIL[/]")
    return table


def rungs(rows: Sequence[Rung]) -> "Table":
    """The precision ladder: what was tried, and why it was not good enough."""
    table = _table("from", "target", "precision", "size", "kept", "result")
    for rung in rows:
        table.add_row(
            title_of(rung.framework),
            rung.target,
            rung.precision,
            _size(rung.export.bytes) if rung.export else "-",
            _share(min((c.kept for c in rung.checks if c.kept is not None), default=None)),
            f"[yellow]{escape(rung.reason)}[/]" if rung.reason else "[green]chosen[/]",
        )
    return table


def bench(rows: Sequence[BenchRow]) -> "Table":
    """What each file costs, and how good it is."""
    table = _table("file", "size", "load", "p50", "p90", "p99", "samples/s", "memory", "kept")
    for row in rows:
        if row.reason:
            table.add_row(row.file, *["-"] * 7, f"[red]{escape(row.reason)}[/]")
            continue
        table.add_row(
            row.file,
            _size(row.bytes),
            f"{row.load_ms:.1f} ms",
            *(f"{value:,.0f} us" for value in (row.p50_us, row.p90_us, row.p99_us)),
            f"{row.samples_per_s:,.0f}",
            "-" if row.memory_bytes is None else f"{row.memory_bytes / 1e6:,.1f} MB",
            _share(row.agreement),
        )
    return table


def proofs(rows: Sequence[Proof]) -> "Table":
    """How far one and several workers differ."""
    table = _table("framework", "workers", "steps", "difference", "at", "result")
    for proof in rows:
        table.add_row(
            title_of(proof.framework),
            f"1 and {proof.workers}",
            str(proof.steps),
            f"{proof.difference:.1e}",
            proof.where or "-",
            "[green]equal[/]" if proof.passed else "[red]DIFFERENT[/]",
        )
    return table


def runs(rows: Sequence[Run]) -> "Table":
    """A row a run, the latest last."""
    table = _table("run", "status", "created", "frameworks", "exports", "verified")
    for run in rows:
        facts, verification = run.facts, run.verification
        passed = None if verification is None else bool(verification["passed"])
        table.add_row(
            run.name,
            facts["status"],
            facts["created"].replace("T", " ")[:19],
            ", ".join(map(title_of, run.frameworks)) or "-",
            str(len(facts["exports"])),
            {None: "-", True: "pass", False: "FAIL"}[passed],
        )
    return table


def texts(
    columns: Sequence[str], rows: Sequence[Sequence[str]], styles: Mapping[str, str]
) -> "Table":
    """Rows of texts; a cell that is a key of `styles` is shown in that style."""
    table = _table(*columns)
    for row in rows:
        cells = [(styles.get(cell), escape(cell)) for cell in row]
        table.add_row(*(f"[{style}]{cell}[/]" if style else cell for style, cell in cells))
    return table


def escape(text: str) -> str:
    """A text in which square brackets mean themselves."""
    from rich.markup import escape as escaped

    return escaped(text)


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = column in _NUMERIC
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    return table


def _size(count: int) -> str:
    return f"{count / 1000:,.1f} kB"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _without_version(runtime: str) -> str:
    return " ".join(word for word in runtime.split() if not word[0].isdigit())


def _probe(check: Check) -> str:
    """Class numbers as they are, values with as many digits as the probe's tolerance needs."""
    if check.probe is None:
        return "-"
    return str(check.probe) if isinstance(check.probe, int) else f"{check.probe:.4f}"


def _judged(check: Check) -> list[str]:
    """The task's metric before and after, its drop, and how sure that is."""
    if check.drop is None or check.before is None or check.after is None:
        return ["-", "-", "-"]
    interval = "-" if check.low is None else f"{check.low:+.4f} to {check.high:+.4f}"
    return [
        f"{check.metric} {check.before:.4f} -> {check.after:.4f}",
        f"{check.drop:+.4f}",
        interval,
    ]
