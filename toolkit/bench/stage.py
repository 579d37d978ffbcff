"""Several files, each in a fresh process and never two at once, which would slow each other."""

from collections.abc import Callable, Mapping
from pathlib import Path

from toolkit.bench.measure import BenchQuestion, BenchRow, bench_file
from toolkit.errors import StoppedError, ToolkitError
from toolkit.hosts import Host


def bench(
    files: Mapping[str, bytes],
    question: BenchQuestion,
    children: Host,
    log: Callable[[str], Path],
) -> list[BenchRow]:
    """Measure files one after another; a row a file, in their order.

    A file that cannot be measured has a row that says why in `reason`.

    Args:
        files: content by name.
        question: how they are measured, the same for all.
        children: gives each file a fresh process.
        log: path of a file's log, by its name.
    """
    rows = []
    for name, content in files.items():
        future = children.submit(bench_file, content, name, question, log=log(name))
        try:
            rows.append(future.result())
        except StoppedError:
            raise
        except ToolkitError as error:
            reason = str(error).removeprefix(f"{name}: ")
            rows.append(BenchRow(name, len(content), question.threads, reason=reason))
    return rows
