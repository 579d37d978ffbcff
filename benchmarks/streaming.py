"""Memory of a worker that trains on far more data than it may hold: a stream of 2 GB.

`toolkit train` reads Parquet files into records and trains a small dense network on them. Judged
is how much the training worker's anonymous memory (what belongs to no file, from Linux's
smaps_rollup) grows over its value before the first step, as a share of the data's size: 0.1 is a
tenth. The rate of reading and of training is told beside it.
"""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.harness import ROOT, TOOLKIT, Options, Result, Target, main, run, say
from benchmarks.recipes.stream import FEATURES, targets

TARGET = Target(0.1, at_least=False)
RECIPE = str(ROOT / "benchmarks" / "recipes" / "stream.py")
FILES = 40  # of 51 MB each
QUICK_FILES = 2
ROWS, ROW_GROUP = 50_000, 10_000


def measure(options: Options) -> list[Result]:
    """The worker's growth, and how fast the data were read and trained."""
    growth, reading, training = [], [], []
    count = QUICK_FILES if options.quick else FILES
    size = count * ROWS * (FEATURES + 2) * 4
    # not the usual temporary folder, which may lie in memory
    with TemporaryDirectory(prefix="bench-stream-", dir=Path.home()) as folder:
        make(Path(folder) / "parquet", count)
        for index in range(options.pairs):
            say(f"streaming: {size / 1e9:.2g} GB")
            facts = train(Path(folder), str(index))
            growth.append((facts["most"] - facts["before"]) / size)
            reading.append(size / 1e6 / facts["reading"])
            training.append(facts["samples_per_second"])
    note = f"{size / 1e6:,.0f} MB of samples"
    return [
        Result("worker's memory growth, share of the data", "", growth, (), TARGET, True, note),
        Result("start and reading", "MB/s", reading),
        Result("training from records", "samples/s", training),
    ]


def make(folder: Path, count: int) -> None:
    """Write Parquet files of random samples: 'x' a list of floats, 'y' its class number."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(count):
        samples = random.normal(size=(ROWS, FEATURES)).astype(np.float32)
        columns = {
            "x": pa.FixedSizeListArray.from_arrays(pa.array(samples.ravel()), FEATURES),
            "y": targets(samples),
        }
        path = folder / f"{index:03}.parquet"
        parquet.write_table(pa.table(columns), path, row_group_size=ROW_GROUP, compression=None)


def train(folder: Path, name: str) -> dict[str, float]:
    """Train in a fresh cache; return memory in bytes, seconds until training, samples/s."""
    report = folder / f"memory-{name}.json"
    with TemporaryDirectory(dir=folder) as cache, TemporaryDirectory(dir=folder) as runs:
        environment = {
            "STREAM_FOLDER": str(folder / "parquet"),
            "STREAM_MEMORY": str(report),
            "TOOLKIT_CACHE_DIR": cache,
        }
        start = time.time()
        command = [TOOLKIT, "train", RECIPE, "--workers", "1", "--runs-dir", runs, "--json"]
        done = run(command, environment)
        [meta] = Path(cache).glob("records/*/meta.json")
        facts = json.loads(done.stdout)["frameworks"]["torch"]
        reading = {"reading": meta.stat().st_mtime - start}
        return json.loads(report.read_text()) | reading | {
            "samples_per_second": facts["steps_per_second"] * 1024
        }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
