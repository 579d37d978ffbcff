"""The command that shows a run to a person: `report`."""

from pathlib import Path

import click

from toolkit import pipeline
from toolkit.cli_asked import screen_for
from toolkit.cli_options import common, run_option
from toolkit.console import print_json
from toolkit.runs_folder import find_run


@click.command()
@run_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Default: report.html in the run.",
)
@common
def report(run_name: str | None, output: Path | None, runs_dir: Path, as_json: bool) -> None:
    """Write one offline HTML file about a run: curves, proofs, what it costs, how to repeat it."""
    facts, path = pipeline.report(find_run(runs_dir, run_name), output)
    length = path.stat().st_size
    screen_for(as_json).say(f"{path}, {length / 1000:,.1f} kB; open it in a browser")
    if as_json:
        print_json({"report": str(path), "bytes": length, "facts": facts.to_json()})
