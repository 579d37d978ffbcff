"""Sections about answers: confusion matrices before and after export, and samples that changed."""

import base64
from collections.abc import Sequence

from toolkit.artifacts import title_of
from toolkit.report.confusion import SHOWN, Comparison, Matrix, Sample
from toolkit.report.markup import Child, Markup, file_name, tag
from toolkit.report.words import count, percent

_CELL, _MARGIN = 30, 66
_LETTERS = 8  # of a label beside a matrix
_MOST = 0.55  # opacity: the numbers must stay readable in light and dark


def answers(comparisons: Sequence[Comparison], labels: Sequence[str] | None) -> Markup:
    """All frameworks, one after another."""
    frameworks = dict.fromkeys(one.framework for one in comparisons)
    return Markup(
        "".join(
            _framework(name, [one for one in comparisons if one.framework == name], labels)
            for name in frameworks
        )
    )


def _framework(name: str, found: Sequence[Comparison], labels: Sequence[str] | None) -> Markup:
    title = title_of(name)
    same = [file for one in found if not one.changed for file in one.files]
    changed = [one for one in found if one.changed]
    first = found[0]
    told: list[Child] = []
    if same:
        files = [[" " if index else "", file_name(file)] for index, file in enumerate(same)]
        told = [tag("strong", f"All {count(first.count, 'answer')} unchanged: "), files]
    blocks: list[Child] = []
    if first.before:
        blocks.append(_block(first, labels, before=True))
    blocks += [_block(one, labels) for one in changed]
    return Markup(
        tag("h3", title)
        + (tag("p", told, class_="unchanged") if told else "")
        + (tag("div", blocks, class_="matrices") if blocks else "")
    )


def _names(files: Sequence[str]) -> Markup:
    return Markup(" ".join(file_name(file) for file in files))


def _block(one: Comparison, labels: Sequence[str] | None, *, before: bool = False) -> Markup:
    """One matrix and the samples that changed; `before` is the trained model's."""
    title: Child = "trained model" if before else _names(one.files)
    told: list[str] = [] if before else [f"{one.changed} of {count(one.count, 'answer')} changed"]
    if one.right is not None:
        right = one.right[0 if before else 1]
        told.append(f"{right:,} of {one.count:,} right ({percent(right / one.count)})")
    name = f"matrix-{one.framework}-{'before' if before else one.files[0]}"
    safe = "".join(letter if letter.isalnum() else "-" for letter in name)
    rows = "the data" if one.right is not None else "the trained model"
    matrix = one.before if before else one.after
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("strong", title),
            tag("span", ", ".join(told), class_="small") if told else None,
        ),
        _draw(safe, matrix, one.before, labels, rows) if matrix else tag("span"),
        tag("div", None if before else _samples(one)),
        class_="matrix",
    )


def _draw(
    name: str, matrix: Matrix, reference: Matrix, labels: Sequence[str] | None, rows: str
) -> Markup:
    classes = len(matrix)
    names = [_label(index, labels) for index in range(classes)]
    largest = max((n for row in matrix for n in row), default=1) or 1
    margin = _margin(names)
    side = margin + classes * _CELL
    parts: list[Child] = [
        tag("text", "answered", x=margin + classes * _CELL / 2, y=10, text_anchor="middle"),
        tag(
            "text",
            rows,
            x=8,
            y=margin + classes * _CELL / 2,
            text_anchor="middle",
            transform=f"rotate(-90 8 {margin + classes * _CELL / 2:g})",
        ),
    ]
    for index in range(classes):
        parts.append(_heads(names, index, margin))
        for column in range(classes):
            told = f"{names[index]} answered as {names[column]}"
            was, now = reference[index][column], matrix[index][column]
            left, top = margin + column * _CELL, margin + index * _CELL
            parts.append(_cell(left, top, was, now, largest, told, right=index == column))
    wrong = sum(n for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j)
    return tag(
        "svg",
        tag("title", f"confusion matrix of {classes} classes", id=f"{name}-title"),
        tag("desc", f"{wrong} off the diagonal", id=f"{name}-desc"),
        parts,
        viewBox=f"0 0 {side + 12} {side + 2}",
        width=side + 12,
        height=side + 2,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_="confusion",
    )


def _heads(names: Sequence[str], index: int, margin: int) -> Markup:
    """A class's name above its column and beside its row."""
    middle = margin + index * _CELL + _CELL / 2
    turned = f"rotate(-45 {middle:g} {margin - 8})" if max(map(len, names)) > 2 else None
    anchor = "start" if turned else "middle"
    label = names[index]
    return Markup(
        tag("text", label, x=middle, y=margin - 8, text_anchor=anchor, transform=turned)
        + tag("text", label, x=margin - 6, y=middle + 4, text_anchor="end")
    )


def _cell(
    left: float, top: float, was: int, now: int, largest: int, told: str, *, right: bool
) -> Markup:
    kind = "cell " + ("right" if right else "wrong" if now else "none")
    share = now / largest if right else min(1.0, 0.25 + now / largest) if now else 0.0
    middle, inner = left + _CELL / 2, _CELL - 2
    changed = now != was
    return tag(
        "g",
        tag("title", f"{told}: {now}" + (f", before {was}" if changed else "")),
        tag(
            "rect",
            x=left + 1,
            y=top + 1,
            width=inner,
            height=inner,
            rx=3,
            class_=kind,
            fill_opacity=round(share * _MOST, 3),
        ),
        tag("rect", x=left + 2, y=top + 2, width=inner - 2, height=inner - 2, rx=3, class_="mark")
        if changed
        else None,
        tag("text", str(now), x=middle, y=top + (15 if changed else 20), text_anchor="middle")
        if now or changed
        else None,
        tag("text", f"{now - was:+d}", x=middle, y=top + 26, text_anchor="middle", class_="delta")
        if changed
        else None,
    )


def _margin(names: Sequence[str]) -> int:
    return min(_MARGIN + 14, 32 + 7 * max(map(len, names)))


def _label(index: int, labels: Sequence[str] | None) -> str:
    label = labels[index] if labels is not None and index < len(labels) else str(index)
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"


def _samples(one: Comparison) -> Markup:
    more = one.changed - len(one.samples)
    return Markup(
        tag("ul", [_sample(sample) for sample in one.samples], class_="samples")
        + (tag("p", f"and {more} more; {SHOWN} are shown", class_="note") if more > 0 else "")
    )


def _sample(sample: Sample) -> Markup:
    drawn: Child = tag("span", sample.told, class_="told")
    if sample.picture:
        content = base64.b64encode(sample.picture).decode()
        source = Markup(f"data:image/png;base64,{content}")
        drawn = tag("img", src=source, alt=f"golden sample {sample.index}", class_="pixels")
    elif sample.series:
        drawn = _series(sample)
    kind = "changed"
    if sample.target:
        was, now = sample.before == sample.target, sample.after == sample.target
        kind = "worse" if was else "better" if now else "changed"
    signs = {"worse": "✗ ", "better": "✓ ", "changed": ""}
    told = [f"is {sample.target}"] if sample.target else []
    about = tag(
        "p",
        tag("span", f"{signs[kind]}{sample.before} → {sample.after}", class_="arrow"),
        tag("span", ", ".join([*told, f"no. {sample.index}"]), class_="small"),
    )
    return tag("li", drawn, about, class_=kind)


def _series(sample: Sample) -> Markup:
    low, high = min(sample.series), max(sample.series)
    step, span = 96 / max(len(sample.series) - 1, 1), (high - low) or 1.0
    points = [
        f"{2 + index * step:.1f},{46 - (value - low) / span * 44:.1f}"
        for index, value in enumerate(sample.series)
    ]
    return tag(
        "svg",
        tag("title", f"golden sample {sample.index}"),
        tag("polyline", points=" ".join(points), class_="curve"),
        viewBox="0 0 100 48",
        class_="series",
        role="img",
    )
