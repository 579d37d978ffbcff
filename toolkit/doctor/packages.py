"""Checks of Python and of packages: what is missing, out of range, or does not go together."""

from collections.abc import Iterator

from toolkit.doctor.facts import Facts
from toolkit.doctor.finding import OK, PROBLEM, WARNING, Finding
from toolkit.doctor.versions import Requirement, release, requirement, within

PACKAGE = "edge-deployment-toolkit"
_OLDEST, _NEWEST = (3, 11), (3, 13)
_COLLECTIONS = ("all", "dev")  # extras that only gather others
_NEEDED = {
    "train": "to train",
    "tf": "for TensorFlow",
    "torch": "for PyTorch",
    "export": "to export",
}


def python(facts: Facts) -> Iterator[Finding]:
    """The interpreter's version."""
    shown = ".".join(map(str, facts.python))
    if _OLDEST <= facts.python[:2] <= _NEWEST:
        yield Finding("Python", OK, shown)
        return
    known = " to ".join(".".join(map(str, version)) for version in (_OLDEST, _NEWEST))
    yield Finding("Python", PROBLEM, shown, f"make an environment with Python {known}")


def extras(facts: Facts) -> Iterator[Finding]:
    """Packages by extra: missing ones, and versions out of range."""
    if PACKAGE not in facts.versions:
        fix = "install it: pip install --editable . --no-deps"
        yield Finding("toolkit", WARNING, "is not installed, its ranges are not known", fix)
        return
    yield Finding("toolkit", OK, facts.versions[PACKAGE])
    needed = [found for line in facts.requirements if (found := requirement(line)) is not None]
    own = [each for each in needed if each.name != PACKAGE and not each.conditional]
    for extra in dict.fromkeys(each.extra for each in own):
        if extra not in _COLLECTIONS:
            yield _extra(facts, extra, [each for each in own if each.extra == extra])


def _extra(facts: Facts, extra: str, needed: list[Requirement]) -> Finding:
    check = f"extra {extra}" if extra else "base packages"
    what = f"'{PACKAGE}[{extra}]'" if extra else PACKAGE
    wrong = [each for each in needed if not _fits(facts, each)]
    if wrong:
        told = ", ".join(f"{e.name} {facts.versions[e.name]} (needs {e.range})" for e in wrong)
        pins = " ".join(f"'{each.name}{each.range}'" for each in wrong)
        return Finding(check, PROBLEM, told, f"pip install {pins}")
    missing = [each.name for each in needed if each.name not in facts.versions]
    if missing:
        use = _NEEDED.get(extra)
        told = f"{', '.join(missing)} not installed" + (f", needed {use}" if use else "")
        bad = not extra
        return Finding(check, PROBLEM if bad else WARNING, told, f"pip install {what}")
    return Finding(check, OK, ", ".join(f"{e.name} {facts.versions[e.name]}" for e in needed))


def _fits(facts: Facts, needed: Requirement) -> bool:
    version = facts.versions.get(needed.name)
    return version is None or within(version, needed.range)


def conflicts(facts: Facts) -> Iterator[Finding]:
    """What installed packages need of each other, as their metadata say."""
    found = False
    for package, lines in facts.required_by.items():
        for line in lines:
            needed = requirement(line)
            if needed is None or needed.extra or needed.conditional or _fits(facts, needed):
                continue
            found = True
            yield Finding(
                f"{package} and {needed.name}",
                PROBLEM,
                f"{package} {facts.versions.get(package, '')} needs {needed.name}{needed.range}, "
                f"not {facts.versions[needed.name]}",
                f"pip install '{needed.name}{needed.range}', or another {package}",
            )
    if not found:
        yield Finding("package conflicts", OK, "none")


def combinations(facts: Facts) -> Iterator[Finding]:
    """Combinations that are known to fail."""
    versions = facts.versions
    torch, tensorflow = versions.get("torch", ""), versions.get("tensorflow", "")
    found = list[Finding]()
    if "litert-torch" in versions and torch and release(torch) >= (2, 15):
        told = f"litert-torch {versions['litert-torch']} does not export from torch {torch}"
        found.append(Finding("litert-torch", PROBLEM, told, "pip install 'torch>=2.9,<2.15'"))
    numpy = versions.get("numpy", "")
    if "tflite-runtime" in versions and release(numpy) >= (2,):
        told = f"tflite-runtime is built for NumPy 1 and crashes with NumPy {numpy}"
        fix = "pip uninstall tflite-runtime; pip install ai-edge-litert"
        found.append(Finding("tflite-runtime", PROBLEM, told, fix))
    keras = versions.get("keras", "")
    if keras and release(keras) < (3, 13):
        told = f"Keras {keras} lacks what training and export use"
        found.append(Finding("Keras", PROBLEM, told, "pip install 'keras>=3.13,<4'"))
    yield from found or [Finding("combinations", OK, "none that is known to fail")]
    if tensorflow and release(tensorflow) >= (2, 20) and "triton" in versions:
        yield Finding(
            "TensorFlow and triton",
            OK,
            "crash in one process; the toolkit keeps them apart, your own scripts must too",
        )
