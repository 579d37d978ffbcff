"""The commands that make a run again, as a person would type them."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.artifacts import DEFAULT_OPSET, Export


def commands_of(
    facts: dict[str, Any],
    exports: Sequence[Export],
    *,
    built_in: bool,
    laddered: Sequence[tuple[str, str]] = (),
    measured: bool = False,
) -> tuple[tuple[str, str], ...]:
    """What each command does, and the command; each works on the latest run.

    Args:
        facts: content of run.json.
        exports: its files.
        built_in: whether the recipe ships with the package.
        laddered: (framework, target) that `--precision best` chose files for.
        measured: whether the files were measured.
    """
    found = [_train(facts, built_in=built_in)]
    found += [("export", command) for command in _exports(exports, set(laddered))]
    if exports:
        found.append(("verify", "toolkit verify"))
    if measured:
        found.append(("bench", "toolkit bench"))
    found.append(("report", "toolkit report"))
    return tuple(found)


def _train(facts: dict[str, Any], *, built_in: bool) -> tuple[str, str]:
    recipe = facts.get("recipe")
    if recipe is None:
        name = str(facts.get("card", {}).get("name", "model"))
        return "adopt", f"toolkit export MODEL --name {shlex.quote(name)} --samples samples.npz"
    origin = Path(str(recipe.get("origin", "recipe.py")))
    words = ["toolkit", "train", origin.stem if built_in else origin.name]
    given = facts.get("options", {}).get("frameworks") or list(facts.get("frameworks", {}))
    if given:
        words += ["--framework", "both" if len(given) > 1 else given[0]]
    worlds = {one.get("world") for one in facts.get("frameworks", {}).values()} - {None}
    if worlds:
        words += ["--workers", str(max(worlds))]
    overrides = recipe.get("overrides", {})
    for name in ("epochs", "seed"):
        if name in overrides:
            words += [f"--{name}", str(overrides[name])]
    if overrides.get("deterministic"):
        words.append("--deterministic")
    return "train", shlex.join(words)


def _exports(exports: Sequence[Export], laddered: set[tuple[str, str]]) -> list[str]:
    """One command for all models and targets that have the same precisions and options."""
    cells: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for export in exports:
        key = (export.framework, export.target, _options(export))
        cells.setdefault(key, []).append(export.precision)
    groups: dict[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (framework, target, options), precisions in cells.items():
        best = len(precisions) == 1 and (framework, target) in laddered
        wanted = ("best",) if best else tuple(sorted(set(precisions)))
        groups.setdefault((wanted, options, (framework,)), []).append(target)
    merged: dict[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (wanted, options, (framework,)), targets in groups.items():
        key3 = (wanted, options, tuple(sorted(targets)))
        merged.setdefault(key3, []).append(framework)
    return [_export(frameworks, *key) for key, frameworks in merged.items()]


def _export(
    frameworks: Sequence[str],
    precisions: Sequence[str],
    options: Sequence[str],
    targets: Sequence[str],
) -> str:
    words = ["toolkit", "export"]
    if set(frameworks) <= {"tf", "torch"}:
        words += ["--framework", "both" if len(frameworks) > 1 else frameworks[0]]
    for target in targets:
        words += ["--target", target]
    for precision in precisions:
        words += ["--precision", precision]
    return shlex.join([*words, *options])


def _options(export: Export) -> tuple[str, ...]:
    """Options that the file's name tells; a fixed batch that was asked for is among them."""
    found: list[str] = []
    for word in Path(export.file).stem.split("-"):
        if word in ("nchw", "nhwc"):
            found += ["--layout", word]
        elif word == "int8io":
            found += ["--io", "int8"]
        elif export.batch is not None and word == f"b{export.batch}":
            found += ["--batch", str(export.batch)]
        elif word.startswith("opset") and (opset := word[5:]) not in ("", str(DEFAULT_OPSET)):
            found += ["--opset", opset]
    return tuple(found)
