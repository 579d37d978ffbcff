"""The applications of the documentation, from data to files, on one worker and on two, as tables.

    python -m benchmarks.applications [NAME...]

Each is `toolkit run` with every precision and `toolkit bench`; their data are fetched first.
A table gives the trained models' metric, then every file's, its size and its median latency. The
exit code is 1 where a trained model or one of its files misses the application's target.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import PYTHON, TOOLKIT, run, runs_dir, say

PRECISIONS = ("fp32", "fp16", "dynamic", "int8")
TITLES = {"tf": "Keras", "torch": "PyTorch"}


@dataclass(frozen=True)
class Application:
    """A recipe that comes with the toolkit.

    Attributes:
        recipe: its name, and its data set's.
        metric: that is judged.
        least: that it must reach, or None.
        data: whether its data are fetched.
        precisions: of its files.
    """

    recipe: str
    metric: str = "accuracy"
    least: float | None = None
    data: bool = True
    precisions: tuple[str, ...] = PRECISIONS


APPLICATIONS = {
    each.recipe: each
    for each in (
        Application("digits", least=0.97, data=False),
        Application("fashion", least=0.92),
        Application("spam", least=0.98),
        Application("cartpole", "mean return", 475, data=False),
        Application("motion"),
        Application("vowels"),
        Application("pulse"),
    )
}


@dataclass(frozen=True)
class Row:
    """A trained model, or one of its files.

    Attributes:
        name: of the table's row.
        figure: of the metric, or None.
        size: in bytes, or None of a trained model.
        micros: median latency of one sample, or None.
    """

    name: str
    figure: float | None
    size: int | None = None
    micros: float | None = None


def measured(application: Application, workers: int, folder: str) -> tuple[list[Row], float, str]:
    """Rows of one run, its wall time in seconds, and the seconds of training alone, in words."""
    command = [TOOLKIT, "run", application.recipe, "--workers", str(workers), "--runs-dir", folder]
    for precision in application.precisions:
        command += ["--precision", precision]
    done = run([*command, "--json"])
    path = Path(json.loads(done.stdout)["run"])
    facts = json.loads((path / "run.json").read_text())["frameworks"]
    trained = ", ".join(
        f"{TITLES[fw]} {facts[fw]['seconds']:.0f} s" for fw in TITLES if fw in facts
    )
    return list(_rows(application, path, facts)), done.wall, trained


def _rows(application: Application, path: Path, facts: Mapping[str, Any]) -> Iterator[Row]:
    bench = [TOOLKIT, "bench", "--runs-dir", str(path.parent)]
    costs = json.loads(run([*bench, "--run", path.name, "--json"]).stdout)["files"]
    by_file = {Path(cost["file"]).name: cost for cost in costs}
    checks = json.loads((path / "verification.json").read_text())["checks"]
    plays = application.metric == "mean return"
    for framework in (each for each in TITLES if each in facts):
        own = [check for check in checks if check["framework"] == framework and _native(check)]
        figure = facts[framework].get("play_return") if plays else own[0]["before"]
        yield Row(f"{TITLES[framework]}, trained", figure)
        for check in own:
            name = Path(check["file"]).name
            figure = _returns(path / "exports" / name) if plays else check["after"]
            yield Row(f"`{name}`", figure, by_file[name]["bytes"], by_file[name]["p50_us"])


def _native(check: Mapping[str, Any]) -> bool:
    """Whether a file was asked in the runtime that it is made for."""
    return " via " not in check["runtime"]


def _returns(file: Path) -> float:
    done = run([PYTHON, "-m", "toolkit.games", str(file), "--least", "0"])
    return float(done.stdout.split("mean return ")[1].split()[0])


def table(application: Application) -> tuple[str, bool]:
    """The application's table in Markdown, and whether its target was met."""
    if application.data:
        run([TOOLKIT, "data", "fetch", application.recipe])
    columns, times = {}, []
    for workers in (2, 1):
        say(f"applications: {application.recipe}, workers: {workers}")
        with runs_dir() as folder:
            columns[workers], wall, trained = measured(application, workers, folder)
        times.append(
            f"{workers} worker{'s' if workers > 1 else ''}: {trained}; whole command {wall:.0f} s"
        )
    lines = [
        f"| {application.recipe} | {application.metric}, 2 workers | 1 worker | size | p50 |",
        "|---|---|---|---|---|",
        *(
            f"| {two.name} | {_figure(two.figure)} | {_figure(one.figure)} | {_size(two)} "
            f"| {_micros(two)} |"
            for two, one in zip(columns[2], columns[1], strict=True)
        ),
    ]
    figures = [row.figure for rows in columns.values() for row in rows if row.figure is not None]
    met = application.least is None or min(figures) >= application.least
    return "\n".join([*lines, "", "; ".join(times) + "."]), met


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if value < 10 else f"{value:.1f}"


def _size(row: Row) -> str:
    return "" if row.size is None else f"{row.size / 1000:.0f} kB"


def _micros(row: Row) -> str:
    return "" if row.micros is None else f"{row.micros:.0f} us"


def main() -> int:
    """Measure the applications that are named, or all of them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.applications")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(APPLICATIONS)}")
    names = parser.parse_args().names or list(APPLICATIONS)
    for name in names:
        if name not in APPLICATIONS:
            parser.error(f"there is no application {name!r}; known: {', '.join(APPLICATIONS)}")
    missed = []
    for name in names:
        text, met = table(APPLICATIONS[name])
        print(text + "\n", flush=True)
        missed += [] if met else [name]
    if missed:
        print(f"missed their targets: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
