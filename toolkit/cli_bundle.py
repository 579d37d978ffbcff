"""The commands about what goes to devices: `bundle` and `keys`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from toolkit import pipeline
from toolkit.artifacts import PRECISIONS
from toolkit.bundle import keys as key_files
from toolkit.bundle.stage import Wanted, passphrase_from, signers_of
from toolkit.cli_asked import screen_for, show_plan
from toolkit.cli_options import common, dry_run_option, printing, run_option
from toolkit.cli_types import Commands, OneOf
from toolkit.console import print_json
from toolkit.errors import NotFoundError, UsageError
from toolkit.planning.files import plan_bundle
from toolkit.runs_folder import find_run

_FILE = click.Path(path_type=Path, dir_okay=False)
_store = click.option(
    "--store",
    type=_FILE,
    default=Path("keys.json"),
    show_default=True,
    help="The public keys, which go to the devices.",
)


@click.command()
@run_option
@click.option("--framework", type=OneOf("tf", "torch"), help="Whose files, if there are both.")
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=OneOf(*PRECISIONS),
    help="Repeatable, the preferred first. Default: all, the fastest first.",
)
@click.option("--version", default="1.0.0", show_default=True, help="Of the model.")
@click.option("--key", "private", multiple=True, type=_FILE, help="Private key; repeatable.")
@click.option("--unsigned", is_flag=True, help="Make it without a signature, for tests.")
@click.option("--license", "license_file", type=_FILE, help="Text file that goes into it.")
@click.option("--allow-unverified", is_flag=True, help="Bundle files that did not pass.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: in the run.")
@dry_run_option
@common
def bundle(
    run_name: str | None,
    private: Sequence[Path],
    unsigned: bool,
    output: Path | None,
    runs_dir: Path,
    as_json: bool,
    dry_run: bool,
    **given: Any,
) -> None:
    """Make one signed file of a run's verified models for a device."""
    if bool(private) == unsigned:
        raise UsageError("give --key FILE to sign the bundle (toolkit keys new), or --unsigned")
    wanted = Wanted(license=_text(given.pop("license_file")), **given)
    run = find_run(runs_dir, run_name)
    if dry_run:
        show_plan(plan_bundle(run, wanted, len(private), output), as_json)
        return
    path = pipeline.bundle(run, wanted, signers_of(private), output)
    screen = screen_for(as_json)
    screen.say(f"{path}, {path.stat().st_size / 1000:,.1f} kB")
    allow = " --allow-unsigned" if unsigned else " --keys keys.json"
    screen.say(f"on a device: python -m edge selftest {path.name}{allow}")
    if as_json:
        print_json({"bundle": str(path), "bytes": path.stat().st_size, "signed": not unsigned})


def _text(file: Path | None) -> str:
    """A file's text, or '' without a file.

    Raises:
        NotFoundError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8") if file is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise NotFoundError(f"--license {file} cannot be read: {why}; check the path") from error


@click.group(cls=Commands)
def keys() -> None:
    """Make, list, rotate, retire and revoke the keys that bundles are signed with.

    A passphrase is taken from the environment variable TOOLKIT_KEY_PASSPHRASE.
    """


@keys.command()
@click.argument("private", type=_FILE)
@_store
@click.option("--name", default="", help="Whose key it is.")
@printing
def new(private: Path, store: Path, name: str, as_json: bool) -> None:
    """Make a key: the private half in PRIVATE, the public one in the store."""
    made = key_files.new(store, private, name=name, passphrase=passphrase_from())
    _tell(made, f"key {made[:16]}; keep {private} secret, and give {store} to devices", as_json)


@keys.command()
@click.argument("old", type=_FILE)
@click.argument("private", type=_FILE)
@_store
@click.option("--name", default="", help="Whose key it is.")
@printing
def rotate(old: Path, private: Path, store: Path, name: str, as_json: bool) -> None:
    """Make a key that takes over from OLD, which signs it."""
    (signer,) = signers_of([old])
    made = key_files.rotate(store, signer, private, name=name, passphrase=passphrase_from())
    _tell(made, f"key {made[:16]}; retire the old one when all devices have {store}", as_json)


@keys.command("list")
@_store
@printing
def list_keys(store: Path, as_json: bool) -> None:
    """List the keys of a store."""
    found = key_files.read_store(store)
    rows = [{"key": i, "state": key.state, "name": key.name} for i, key in found.keys.items()]
    if as_json:
        print_json({"keys": rows})
    screen_for(as_json).text([f"{r['key'][:16]}  {r['state']:<8} {r['name']}" for r in rows])


@keys.command()
@click.argument("key")
@_store
@printing
def retire(key: str, store: Path, as_json: bool) -> None:
    """Trust KEY (its first digits) no longer, since another took over."""
    _tell(done := key_files.set_state(store, key, "retired"), f"key {done[:16]} retired", as_json)


@keys.command()
@click.argument("key")
@_store
@printing
def revoke(key: str, store: Path, as_json: bool) -> None:
    """Trust KEY (its first digits) never again: others may know it."""
    _tell(done := key_files.set_state(store, key, "revoked"), f"key {done[:16]} revoked", as_json)


def _tell(key: str, message: str, as_json: bool) -> None:
    screen_for(as_json).say(message)
    if as_json:
        print_json({"key": key})
