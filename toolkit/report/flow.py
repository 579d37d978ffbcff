"""The way from data to device as a row of stages, with sizes, counts and times."""

from collections.abc import Callable

from toolkit.artifacts import title_of
from toolkit.report.facts import Facts
from toolkit.report.markup import Child, Markup, tag
from toolkit.report.words import count, duration, percent, size

_DONE, _FAILED, _OPEN = "done", "failed", "open"
_Stage = tuple[str, str, str, list[Child]]  # title, state, headline, details


def flow(facts: Facts) -> Markup:
    """Data, train, export, verify, bundle."""
    stages: tuple[Callable[[Facts], _Stage], ...] = (_data, _train, _export, _verify, _bundle)
    return tag("ol", [_stage(*make(facts)) for make in stages], class_="flow")


def _stage(title: str, state: str, headline: str, details: list[Child]) -> Markup:
    signs = {_DONE: ("✓", "done"), _FAILED: ("✗", "failed"), _OPEN: ("○", "not yet")}
    sign, told = signs[state]
    return tag(
        "li",
        tag(
            "h3",
            tag("span", sign, class_="sign", aria_hidden="true"),
            title,
            tag("span", f" ({told})", class_="hidden"),
        ),
        tag("p", headline, class_="headline"),
        [tag("p", detail) for detail in details],
        class_=state,
    )


def _data(facts: Facts) -> _Stage:
    data = facts.data
    train, validation = data.get("train"), data.get("validation")
    if train is None:
        return "data", _DONE if facts.inputs else _OPEN, "from elsewhere", [*facts.inputs]
    details: list[Child] = [f"{count(validation, 'sample')} held out"] if validation else []
    return "data", _DONE, count(train, "sample"), [*details, *facts.inputs]


def _train(facts: Facts) -> _Stage:
    if facts.status == "adopted":
        return "train", _DONE, "elsewhere", ["adopted as a model file"]
    trained = facts.trained
    known = {"trained": _DONE, "failed": _FAILED, "stopped": _FAILED}
    state = known.get(facts.status, _OPEN)
    if not trained:
        return "train", state, facts.status, []
    seconds = sum(one.seconds or 0 for one in trained)
    details: list[Child] = []
    for one in trained:
        told = f"{title_of(one.framework)} {duration(one.seconds)}"
        if one.steps:
            told += f", {count(one.steps, 'step')}"
        details.append(told)
    workers = {one.workers for one in trained if one.workers}
    if workers:
        details.append(f"{count(max(workers), 'worker')}{' each' if len(trained) > 1 else ''}")
    return "train", state, duration(seconds), details


def _export(facts: Facts) -> _Stage:
    exports = facts.exports
    if not exports:
        return "export", _OPEN, "nothing yet", [tag("code", "toolkit export")]
    sizes = sorted(export.bytes for export in exports)
    details: list[Child] = [
        f"{size(sizes[0])} to {size(sizes[-1])}" if len(sizes) > 1 else size(sizes[0]),
        ", ".join(dict.fromkeys(export.precision for export in exports)),
        f"{duration(sum(export.seconds for export in exports))} in all",
    ]
    return "export", _DONE, count(len(exports), "file"), details


def _verify(facts: Facts) -> _Stage:
    verified = facts.verified
    checks = verified.checks
    if not checks:
        return "verify", _OPEN, "not yet", [tag("code", "toolkit verify")]
    passed = len(checks) - len(verified.failed)
    state = {True: _DONE, False: _FAILED, None: _OPEN}[verified.passed]
    details: list[Child] = [
        count(len({check.runtime for check in checks}), "runtime"),
    ]
    kept = [check.kept for check in checks if check.kept is not None]
    if kept:
        details.append(f"at least {percent(min(kept))} of answers kept")
    if verified.missing:
        details.append(f"{count(len(verified.missing), 'file')} not checked")
    if verified.seconds is not None:
        details.append(duration(verified.seconds))
    return "verify", state, f"{passed} of {len(checks)} passed", details


def _bundle(facts: Facts) -> _Stage:
    if not facts.bundles:
        return "bundle", _OPEN, "not yet", [tag("code", "toolkit bundle")]
    name, length = facts.bundles[-1]
    more = len(facts.bundles) - 1
    details: list[Child] = [name, f"and {more} more" if more else None]
    return "bundle", _DONE, size(length), [detail for detail in details if detail]
