"""The whole page: one file, nothing from elsewhere, readable without its script."""

import base64
import hashlib
from importlib import resources

from toolkit import __version__
from toolkit.report import parts, proofs
from toolkit.report.curves import draw
from toolkit.report.facts import Facts
from toolkit.report.flow import flow
from toolkit.report.markup import Child, Markup, tag
from toolkit.report.matrices import answers

_Section = tuple[str, str, Child]  # id, title, content


def page(facts: Facts) -> str:
    """The report as a document that is HTML and XML at the same time."""
    style, script = _resource("style.css"), _resource("script.js")
    sections = _sections(facts)
    links = [tag("a", name, href=f"#{name}") for name, _, _ in sections]
    body = tag(
        "body",
        tag(
            "main",
            parts.head(facts),
            tag("nav", links, aria_label="Sections"),
            parts.glance(facts),
            [_section(*section) for section in sections],
            tag(
                "footer",
                tag("p", f"toolkit {__version__}. This file loads nothing from elsewhere."),
            ),
        ),
        tag("script", script),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{facts.name}: report of run {facts.run}"),
        tag("style", style),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _sections(facts: Facts) -> list[_Section]:
    verified = facts.verified
    found: list[_Section] = [("way", "From data to device", flow(facts))]
    if facts.charts or facts.trained:
        found.append(("training", "Training", _training(facts)))
    if verified.checks or verified.missing:
        told = proofs.verification(facts) if verified.checks else _missing("toolkit verify")
        found.append(("verification", "Verification", told))
    if any(check.blame for check in verified.failed):
        found.append(("blame", "What is to blame", proofs.blame(verified.failed)))
    if facts.ladder:
        found.append(("ladder", "Precision ladder", proofs.ladder(facts.ladder)))
    if facts.comparisons or facts.unanswered:
        found.append(("answers", "Answers before and after", _answers(facts)))
    if facts.exports:
        rows = facts.measured
        told = proofs.costs(rows) if rows else _missing("toolkit bench")
        found.append(("costs", "Latency, size and accuracy", told))
    found += [
        ("environment", "Environment", parts.environment(facts)),
        ("commands", "Make it again", parts.commands(facts)),
    ]
    if facts.hashes:
        found.append(("lineage", "Lineage", parts.lineage(facts)))
    return found


def _training(facts: Facts) -> Markup:
    charts = tag("div", [draw(chart) for chart in facts.charts], class_="charts")
    return Markup(charts + (parts.trained(facts.trained) if facts.trained else ""))


def _answers(facts: Facts) -> Markup:
    """What the golden vectors gave, and which files could not be asked."""
    told = tag(
        "p",
        "The golden vectors are run through every exported file. Blue is right, orange is wrong; "
        "a frame marks what changed. Below a matrix are samples whose answer changed: ✗ was right "
        "and is wrong now, ✓ was wrong and is right now.",
        class_="note",
    )
    lost = [tag("li", tag("code", name), f": {why}") for name, why in facts.unanswered]
    return Markup(
        told
        + answers(facts.comparisons, facts.labels)
        + (tag("ul", lost, class_="bad") if lost else "")
    )


def _missing(command: str) -> Markup:
    return tag("p", "Not known yet: run ", tag("code", command), ".", class_="note")


def _section(name: str, title: str, content: Child) -> Markup:
    heading = tag("h2", title, id=f"{name}-title")
    return tag("section", heading, content, id=name, aria_labelledby=f"{name}-title")


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded; this style and this script are known by their hashes."""
    hashes = {"style-src": style, "script-src": script}
    told = "; ".join(f"{what} 'sha256-{_hash(source)}'" for what, source in hashes.items())
    return f"default-src 'none'; img-src data:; {told}; base-uri 'none'; form-action 'none'"


def _hash(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _resource(name: str) -> Markup:
    """A file of this package; it holds neither '<' nor '&', which HTML and XML read differently."""
    return Markup((resources.files("toolkit.report") / name).read_text(encoding="utf-8"))
