"""Files out of a package, into a folder that appears whole or not at all."""

import contextlib
import io
import secrets
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from toolkit.datasets.catalog import Debian, Npm, PyPI
from toolkit.errors import StorageError
from toolkit.files import make_directory

_MOST_FILE = 1 << 24  # bytes of one file
_MOST = 1 << 29  # bytes of all files
_SECONDS = 300  # of an apt or dpkg command


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new folder beside `target` that takes its place where the block ends without an error.

    Raises:
        StorageError: it cannot be written.
    """
    make_directory(target.parent)
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        fresh.mkdir()
        yield fresh
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error.strerror or error}; free some space, or let "
            "TOOLKIT_DATA_DIR name another folder"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def tarball(content: bytes, source: Npm, folder: Path) -> int:
    """Write the files that `source` keeps, as folder/group/file, and count them.

    Raises:
        StorageError: a name leaves the folder, a member is no plain file, or there is too much.
    """
    count = total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                path = _inside(member.name)
                total += member.size
                if member.size > _MOST_FILE or total > _MOST:
                    raise StorageError(f"{member.name!r} in the tarball is larger than allowed")
                if not member.isfile():
                    if member.isdir():
                        continue
                    raise StorageError(f"{member.name!r} in the tarball is a link or device")
                if not path.is_relative_to(source.keep) or path.suffix != source.suffix:
                    continue
                file = archive.extractfile(member)
                target = folder / path.relative_to(source.keep)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read() if file else b"")
                count += 1
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise StorageError(f"the tarball cannot be read: {error}; fetch it again") from error
    return count


def wheel(content: bytes, source: PyPI, folder: Path) -> int:
    """Write the files that `source` keeps into `folder`, side by side, and count them.

    Names are the catalogue's, never the wheel's, so that none can lead out of the folder.

    Raises:
        StorageError: a file is missing, is a link, or is too large; the wheel cannot be read.
    """
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in source.names:
                member = archive.getinfo(f"{source.keep}/{name}")
                total += member.file_size
                if member.file_size > _MOST_FILE or total > _MOST:
                    raise StorageError(f"{member.filename!r} in the wheel is larger than allowed")
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise StorageError(f"{member.filename!r} in the wheel is a link")
                # zipfile gives no more than file_size, and checks the sum
                (folder / name).write_bytes(archive.read(member))
    except KeyError as error:
        raise StorageError(
            f"{source.package} {source.version} lacks {source.keep}/{name}; nothing was kept"
        ) from error
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise StorageError(f"the wheel cannot be read: {error}; fetch it again") from error
    return len(source.names)


def debian(source: Debian, folder: Path) -> int:
    """Download a Debian package, unpack what `source` keeps into `folder`, count the files.

    Needs apt-get and dpkg-deb but not root, and installs nothing. apt checks the hash.

    Raises:
        StorageError: the programs are missing, or one failed.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise StorageError(
                f"{program} is not on this machine; on another system, unpack Debian's package "
                f"{source.package} and copy its {source.keep} to {folder.parent}"
            )
    with tempfile.TemporaryDirectory() as work:
        _run(["apt-get", "download", source.package], Path(work), source.package)
        package = next(Path(work).glob("*.deb"), None)
        if package is None:
            raise StorageError(f"apt-get left no file of {source.package}; try again")
        _run(["dpkg-deb", "-x", package.name, "unpacked"], Path(work), source.package)
        kept = Path(work) / "unpacked" / source.keep
        files = sorted(f for f in kept.glob("*") if f.is_file() and not f.is_symlink())
        for file in files:
            shutil.copyfile(file, folder / file.name)
    return len(files)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise StorageError(f"{name!r} in the tarball leads out of its folder; nothing was kept")
    return path


def _run(command: list[str], folder: Path, package: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, without a shell
            command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"{command[0]} took over {_SECONDS} s for {package}") from error
    if done.returncode:
        raise StorageError(
            f"{command[0]} could not get {package}; check the network, and 'apt-get update'",
            detail="\n".join(done.stderr.strip().splitlines()[-5:]),
        )
