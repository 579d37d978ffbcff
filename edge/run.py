"""The commands `run` and `bench`: from what a user typed to answers, or to how long they take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from edge.answer import Answers, answer, prepare
from edge.errors import InputError
from edge.model import Model
from edge.opening import open_model
from edge.present import as_json, lines
from edge.raw import read_for

if TYPE_CHECKING:
    from edge.bench import Latency


def bench(options: SimpleNamespace) -> int:
    """The command `bench`."""
    options.bench = options.seconds
    return run(options)


def run(options: SimpleNamespace) -> int:
    """The command `run`, with `bench` on top where the option asks for it.

    Raises EdgeError for whatever is wrong with model or input.
    """
    start = time.perf_counter()
    model = open_model(options)
    load_ms = (time.perf_counter() - start) * 1e3
    preprocess = not options.no_preprocess
    if options.bench and not options.input and not options.more:
        batches, preprocess = [_zeros(model)], False
    else:
        batches = _batches(options, model)
    answers = _joined([answer(model, raw, preprocess=preprocess) for raw in batches])
    result = {"model": options.path, "runtime": model.runtime}
    shown = [] if options.json else lines(model, answers)
    if options.bench:
        from edge.bench import measure

        inputs = prepare(model, batches[0], preprocess=preprocess)
        latency = measure(model, inputs, options.bench)
        result["bench"] = {"load_ms": load_ms, **vars(latency)}
        shown = _bench_lines(model, load_ms, latency)
    if options.json:
        import json

        shown = [json.dumps({**result, **as_json(answers)})]
    print("\n".join(shown))
    return 0


def _batches(options: SimpleNamespace, model: Model) -> list[dict[str, np.ndarray]]:
    """The arrays by input name that are answered one after another."""
    if not options.more:
        return [_raw(options.input, model)]
    names = [tensor.name for tensor in model.inputs]
    if options.input or len(names) > 1:
        raise InputError(
            f"{options.more[0]!r} is one argument too many: give every input as --input NAME=VALUE"
        )
    return [{names[0]: read_for(model, names[0], text)} for text in options.more]


def _raw(given: Sequence[str], model: Model) -> dict[str, np.ndarray]:
    """The arrays that the --input options stand for, by input name."""
    names = [tensor.name for tensor in model.inputs]
    takes = "\n".join(f"  {tensor}" for tensor in model.inputs)
    if not given:
        raise InputError(f"--input is missing; the model takes:\n{takes}")
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            if len(names) > 1:
                raise InputError(f"--input {text}: write NAME=VALUE; the model takes:\n{takes}")
            name, value = names[0], text
        if name in values:
            raise InputError(f"--input: {name} is given twice; several samples go into one VALUE")
        values[name] = value
    if list(values.values()).count("-") > 1:
        raise InputError("--input: standard input can be read only once")
    return {name: read_for(model, name, value) for name, value in values.items()}


def _zeros(model: Model) -> dict[str, np.ndarray]:
    """One batch of zeros; free sizes are taken as 1."""
    return {t.name: np.zeros([size or 1 for size in t.shape], t.dtype) for t in model.inputs}


def _joined(parts: Sequence[Answers]) -> Answers:
    """The answers of several batches as those of one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    try:
        outputs = {
            name: np.concatenate([np.atleast_1d(part.outputs[name]) for part in parts])
            for name in first.outputs
        }
        decided = [part.answers for part in parts if part.answers is not None]
        processed = [part.processed for part in parts if part.processed is not None]
        answers, after = (np.concatenate(a) if a else None for a in (decided, processed))
    except ValueError as error:
        raise InputError(f"the answers differ in shape; ask one by one: {error}") from error
    labels = [label for part in parts for label in part.labels or ()]
    return Answers(outputs, answers, labels if first.labels is not None else None, after)


def _bench_lines(model: Model, load_ms: float, latency: Latency) -> list[str]:
    stable = "stable" if latency.stable else "not stable: its median still moved"
    return [
        f"{model.runtime}, {latency.runs} runs of {latency.samples} sample(s), {stable}",
        f"load        {load_ms:.1f} ms",
        f"p50         {latency.p50_us:.1f} us",
        f"p90         {latency.p90_us:.1f} us",
        f"p99         {latency.p99_us:.1f} us",
        f"throughput  {latency.samples_per_s:.0f} samples/s",
    ]
