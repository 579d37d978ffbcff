"""What exported files keep of the trained model, on real data.

- fp32: the greatest error of any file and runtime, in units of the outputs' range, for digits,
  Fashion-MNIST, MobileNetV3-Small on photographs and a transformer encoder. The golden vectors, up
  to 512 samples that were not trained on, are asked.
- How many checks of `toolkit verify` fail; none may.
- The CNN on Fashion-MNIST in static int8: accuracy that is lost on the 10,000 test images, and the
  size of the file as a share of the one in fp32.

Needs Fashion-MNIST: see `recipes/fashion.py`.
"""

from pathlib import Path

from benchmarks.exporting import FRAMEWORKS, TARGETS, TrainedRun, trained
from benchmarks.harness import Options, Result, Target, main, runs_dir, say

ERROR = Target(1e-5, at_least=False)
NONE = Target(0, at_least=False)
DROP, SIZE = Target(0.005, at_least=False), Target(0.28, at_least=False)
MODELS, QUICK_MODELS = ("digits", "fashion", "mobilenet", "encoder"), ("digits",)


def measure(options: Options) -> list[Result]:
    """Errors of all models, then accuracy and size of the int8 files."""
    results = []
    with runs_dir() as folder:
        for model in QUICK_MODELS if options.quick else MODELS:
            say(f"export_quality: {model}")
            source = trained(model, folder, *(("--epochs", "1") if options.quick else ()))
            int8 = model == "fashion"
            _, files = source.export(("fp32", "int8") if int8 else ("fp32",))
            results += quality(source, files, int8=int8)
    return results


def quality(source: TrainedRun, files: list[dict[str, object]], *, int8: bool) -> list[Result]:
    """Results of one model from its exported files."""
    rows = {(row["framework"], row["target"], row["precision"]): row for row in files}
    checks = source.verify()
    failed = [check for check in checks if not check["passed"]]
    note = "; ".join(f"{Path(x['file']).name}, {x['runtime']}" for x in failed)
    results = [Result(f"{source.recipe}, failed checks", "", [len(failed)], target=NONE, note=note)]
    for framework in FRAMEWORKS:
        for target in TARGETS:
            cell = f"{source.recipe} {framework} {target}"
            floats = rows[framework, target, "fp32"]
            errors = [
                check["error"]
                for check in checks
                if check["file"] == floats["file"] and check["error"] is not None
            ]
            results.append(Result(f"{cell}, fp32 error", "", errors, target=ERROR, worst=True))
            if int8:
                small = rows[framework, target, "int8"]
                (check,) = (check for check in checks if check["file"] == small["file"])
                note = f"{check['metric']} {check['before']:.4f} to {check['after']:.4f}"
                results += [
                    Result(f"{cell}, int8 drop", "", [check["drop"]], target=DROP, note=note),
                    Result(
                        f"{cell}, int8 size / fp32",
                        "bytes",
                        [small["bytes"]],
                        [floats["bytes"]],
                        SIZE,
                    ),
                ]
    return results


if __name__ == "__main__":
    raise SystemExit(main(measure, __doc__))
