"""Sections about how a run came to be: head, figures, environment, lineage, commands."""

from toolkit.artifacts import title_of
from toolkit.report.facts import Facts, Trained
from toolkit.report.markup import Child, Markup, Row, file_name, table, tag
from toolkit.report.plot import number
from toolkit.report.words import count, duration, latency, listed, metric, percent, points, size
from toolkit.runs import FINISHED

_NAMES = {"python": "Python", "numpy": "NumPy", "ray": "Ray", "keras": "Keras"} | {
    "tensorflow": "TensorFlow",
    "torch": "PyTorch",
}


def head(facts: Facts) -> Markup:
    """Name, status, what it was trained on, and the verdict."""
    when = facts.created[:16].replace("T", " ")
    return tag(
        "header",
        tag("p", f"{facts.run} · {when} UTC", class_="eyebrow"),
        tag(
            "h1",
            facts.name,
            tag("span", facts.status, class_=f"status {_status(facts.status)}"),
        ),
        tag("p", _origin(facts), class_="lead"),
        tag("p", f"The training did not end: {facts.error}", class_="bad") if facts.error else None,
        verdict(facts),
    )


def verdict(facts: Facts) -> Markup:
    """Whether what was exported is good enough, at a glance."""
    checks, failed = facts.verified.checks, facts.verified.failed
    missing = facts.verified.missing
    if failed:
        items = [
            tag("li", file_name(check.file), f", {check.runtime}: {check.reason}")
            for check in failed
        ]
        told: Child = tag("ul", items)
        return _verdict("fail", "✗", f"{len(failed)} of {count(len(checks), 'check')} failed", told)
    if checks and not missing:
        files = len({check.file for check in checks})
        kept = min((check.kept for check in checks if check.kept is not None), default=None)
        least = f" At least {percent(kept)} of the answers stayed the same." if kept else ""
        headline = f"All {len(checks)} checks passed" if len(checks) > 1 else "The check passed"
        told = f"{count(files, 'file')}, each in every runtime that can read it.{least}"
        return _verdict("pass", "✓", headline, told)
    if checks:
        return _verdict(
            "open",
            "○",
            f"{count(len(missing), 'file')} not verified",
            "The others passed. Run toolkit verify.",
        )
    if facts.exports:
        return _verdict("open", "○", "Not verified yet", "Run toolkit verify.")
    return _verdict("open", "○", "Nothing exported yet", "Run toolkit export.")


def _verdict(kind: str, sign: str, headline: str, told: Child) -> Markup:
    return tag(
        "div",
        tag("span", sign, class_="sign", aria_hidden="true"),
        tag("div", tag("p", headline, class_="headline"), tag("div", told)),
        class_=f"verdict {kind}",
        role="status",
    )


def _status(status: str) -> str:
    if status in FINISHED:
        return "pass"
    return "fail" if status in ("failed", "stopped") else "open"


def _origin(facts: Facts) -> str:
    """One or two sentences about where the model came from."""
    if facts.status == "adopted" or not facts.recipe:
        return "A model that was trained elsewhere."
    titles = [title_of(one.framework) for one in facts.trained]
    parts = [f"Trained with {listed(titles)}" if titles else "Not trained yet"]
    workers = {one.workers for one in facts.trained if one.workers}
    if workers:
        each = " each" if len(titles) > 1 else ""
        parts.append(f"{count(max(workers), 'worker')}{each}")
    if epochs := facts.settings.get("epochs"):
        parts.append(count(int(epochs), "epoch"))
    told = ", ".join(parts) + "."
    train, validation = facts.data.get("train"), facts.data.get("validation")
    if train and validation:
        told += f" {count(train, 'sample')} to learn from, {validation:,} to judge by."
    return told


def glance(facts: Facts) -> Markup | None:
    """The few figures that people ask for first."""
    tiles: list[Child] = []
    for one in facts.trained:
        name = next((n for n in one.last if n not in ("loss", "val_loss")), "val_loss")
        if (value := one.last.get(name)) is not None:
            told = f"{name.removeprefix('val_')}, held-out samples"
            title = title_of(one.framework)
            tiles.append(_tile(metric(name.removeprefix("val_"), value), title, told))
    bad = {check.file for check in facts.verified.failed} | set(facts.verified.missing)
    proven = [export for export in facts.exports if export.file not in bad]
    if proven and facts.verified.checks:
        small = min(proven, key=lambda export: export.bytes)
        large = max(facts.exports, key=lambda export: export.bytes)
        ratio = f"{large.bytes / small.bytes:.1f} times smaller than the largest"
        ratio = ratio if large.bytes > 1.05 * small.bytes else "the others are as small"
        tiles.append(_tile(size(small.bytes), "smallest proven file", ratio, small.file))
    timed = [row for row in facts.measured if row.p50_us is not None]
    if timed:
        fast = min(timed, key=lambda row: row.p50_us or 0)
        told = f"{count(fast.batch or 1, 'sample')} a run, {count(fast.threads or 1, 'thread')}"
        tiles.append(_tile(latency(fast.p50_us), "fastest file", told, fast.file))
    drops = [check for check in facts.verified.checks if check.drop is not None]
    if drops:
        worst = max(drops, key=lambda check: check.drop or 0)
        told = f"greatest drop of {worst.metric}"
        lost = points(worst.metric, worst.drop or 0)
        tiles.append(_tile(lost, told, f"of {count(len(drops), 'check')}", worst.file))
    return tag("ul", tiles, class_="tiles") if tiles else None


def _tile(value: str, title: str, told: str, file: str = "") -> Markup:
    return tag(
        "li",
        tag("span", value, class_="value"),
        tag("span", title, class_="title"),
        tag("span", told, class_="told"),
        file_name(file) if file and value != "none" else None,
    )


def trained(rows: tuple[Trained, ...]) -> Markup:
    """How training ended, a row a framework."""
    names = list(dict.fromkeys(name for row in rows for name in row.last))
    columns = {"framework": "", "steps": "num", "time": "num", "samples/s": "num"}
    columns |= dict.fromkeys(names, "num")
    body = []
    for row in rows:
        steps = "-" if row.steps is None else f"{row.steps:,}"
        speed = f"{row.samples_per_second:,.0f}" if row.samples_per_second else "-"
        cells: list[Child] = [title_of(row.framework), steps]
        cells += [duration(row.seconds), speed, *(number(row.last.get(name)) for name in names)]
        notes = list(row.notes)
        if row.attempts > 1:
            notes.append(f"{row.attempts - 1} restarts from a checkpoint")
        body.append(Row(tuple(cells), below="; ".join(notes) if notes else None))
    return table(columns, body, "How training ended")


def environment(facts: Facts) -> Markup:
    """Versions, machine, workers and seed."""
    pairs: list[tuple[str, object]] = [
        (_NAMES.get(name, name), version) for name, version in facts.versions.items()
    ]
    machine = facts.machine
    if machine:
        pairs += [("system", machine.get("system")), ("processor", machine.get("cpu"))]
        pairs.append(("CPUs", machine.get("cpus")))
    for one in facts.trained:
        if one.workers:
            threads = f", {count(one.threads, 'thread')} each" if one.threads else ""
            title = f"{title_of(one.framework)} workers"
            pairs.append((title, f"{one.workers}{threads}"))
    names = {"global_batch": "samples a step"}
    pairs += [(names.get(name, name), value) for name, value in facts.settings.items()]
    known = [(name, value) for name, value in pairs if value not in (None, "")]
    if not known:
        return tag("p", "Nothing is known about where this model was trained.", class_="note")
    items = [tag("div", tag("dt", name), tag("dd", str(value))) for name, value in known]
    return tag("dl", items, class_="pairs")


def lineage(facts: Facts) -> Markup:
    """Hashes of what went in and what came out."""
    exported = {export.file for export in facts.exports}
    body = [
        Row((file_name(what) if what in exported else tag("code", what), tag("code", sha256)))
        for what, sha256 in facts.hashes
    ]
    return table({"what": "", "SHA-256": "hash"}, body, "Hashes of inputs and outputs")


def commands(facts: Facts) -> Markup:
    """What to type to make the run again."""
    steps = [tag("pre", tag("code", command)) for _, command in facts.commands]
    own = facts.recipe and not any(facts.recipe in command for _, command in facts.commands)
    told = (
        "The recipe ships with the toolkit."
        if own
        else "recipe.py in the run's folder is the recipe as it was trained."
        if facts.recipe
        else "The model came from elsewhere: MODEL is its file."
    )
    note = f"Each command works on the latest run. {told}"
    return Markup(tag("div", steps, class_="commands") + tag("p", note, class_="note"))
