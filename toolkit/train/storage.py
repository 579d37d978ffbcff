"""A folder of files on a local disk, on a network file system, or at a URL.

It knows names and bytes; what they mean is for `toolkit.train.checkpoints` to know. Only the
driver uses it, one writer a folder.

Local folders are written by `toolkit.files`. URLs are opened by pyarrow (s3, gs, abfs, hdfs) or
else by the fsspec package of their scheme (memory, sftp, oss, ...). Credentials come from where
each of them looks: for S3 the AWS_* variables, ~/.aws, or the machine's role; for Google
GOOGLE_APPLICATION_CREDENTIALS.

An S3-compatible server (MinIO, Ceph, moto, ...) is named in the URL or in the environment:

    s3://bucket/folder?endpoint_override=http://host:9000
    s3://bucket/folder?scheme=http&endpoint_override=host:9000&region=eu-west-1
    AWS_ENDPOINT_URL=http://host:9000  with  s3://bucket/folder
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from toolkit.errors import NotFoundError, StorageError, UsageError
from toolkit.files import make_directory, write_bytes

_PAUSES = (0.5, 1.5)  # seconds before the second and the third try to write
_BUCKETS = ("s3", "gcs", "abfs")  # where a missing bucket looks like an empty folder

# What servers and SDKs say where trying again is no use, and the next step.
_LASTING = {
    "NO_SUCH_BUCKET": "create the bucket, or correct --checkpoint-dir",
    "ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|_TOKEN|[Cc]redentials|[Pp]ermission|[Ff]orbidden": (
        "check the credentials (for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) and what "
        "they allow"
    ),
}
_SECRET = re.compile("key|secret|token|pass|credential|sig", re.IGNORECASE)

_Result = TypeVar("_Result")


class _PassingError(StorageError):
    """One that may be gone when it is tried again."""


class Storage(ABC):
    """Files by name in one folder; a reader sees the old content of a file or the new.

    That holds for local disks, NFS and object stores; elsewhere (sftp, for instance) a write that
    is cut off may leave half a file.

    Attributes:
        location: of the folder, without secrets, for messages.
    """

    location: str

    @classmethod
    def at(cls, location: str) -> "Storage":
        """Open the folder at a path or URL; a local one is made.

        Raises:
            UsageError: the URL is not understood, or a package that it needs is not installed.
            StorageError: the folder cannot be made.
        """
        scheme, slashes = re.match(r"(?:([A-Za-z][\w+.-]*):(/+))?", location).groups()  # type: ignore[union-attr]
        if scheme is None:
            return _Local(Path(location).expanduser())
        if scheme.lower() == "file":
            return _Local(Path(unquote(urlsplit(location).path)))
        if len(slashes) < 2:
            raise UsageError(
                f"{location!r} is neither a path nor a URL; write {scheme}://... for a URL, "
                f"or ./{location} for a folder of that name"
            )
        return _Remote(location)

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write a file, or replace it.

        Raises:
            StorageError: it could not be written; the old content is as before.
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read a whole file.

        Raises:
            NotFoundError: there is none.
            StorageError: it could not be read, which says nothing about whether it is there.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file, which may be missing already.

        Raises:
            StorageError: it could not be deleted.
        """

    @abstractmethod
    def names(self) -> list[str]:
        """Names of all files, sorted, those of interrupted writes included.

        Raises:
            NotFoundError: the bucket is missing.
            StorageError: the folder cannot be listed, or is gone.
        """


class _Local(Storage):
    """A folder on a local disk or a network file system."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self.location = str(self._path)
        make_directory(self._path)

    def write(self, name: str, content: bytes) -> None:
        write_bytes(self._path / name, content)

    def read(self, name: str) -> bytes:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no file {self._path / name}") from error
        except OSError as error:
            raise self._failed(f"read {self._path / name}", error) from error

    def delete(self, name: str) -> None:
        try:
            (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(f"delete {self._path / name}", error) from error

    def names(self) -> list[str]:
        try:
            return sorted(path.name for path in self._path.iterdir() if path.is_file())
        except OSError as error:  # the folder was there at first: an unmounted disk, perhaps
            raise self._failed(f"list {self._path}", error) from error

    @staticmethod
    def _failed(what: str, error: OSError) -> StorageError:
        return StorageError(
            f"cannot {what}: {error.strerror or error}; see that the disk is there and readable"
        )


class _Remote(Storage):
    """A folder at a URL."""

    def __init__(self, location: str) -> None:
        self.location, self._secrets = _without_secrets(location)
        self._files, self._folder = self._open(location)

    def write(self, name: str, content: bytes) -> None:
        def put() -> None:
            # Where a part of an upload fails, closing does not complete it: the old object stays.
            with self._files.open_output_stream(self._path(name)) as stream:
                stream.write(content)

        for pause in _PAUSES:
            with suppress(_PassingError):
                return self._call(f"write {name} to", put)
            time.sleep(pause)
        return self._call(f"write {name} to", put)

    def read(self, name: str) -> bytes:
        def get() -> bytes:
            # Knows its length and so asks once; a stream asks for many small ranges.
            with self._files.open_input_file(self._path(name)) as file:
                return bytes(file.read())

        return self._call(f"read {name} from", get)

    def delete(self, name: str) -> None:
        with suppress(NotFoundError):
            self._call(f"delete {name} at", lambda: self._files.delete_file(self._path(name)))

    def names(self) -> list[str]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._folder, allow_not_found=True)
        found = self._call("list", lambda: self._files.get_file_info(selector))
        if not found and self._files.type_name in _BUCKETS:
            self._require_bucket()
        return sorted(info.base_name for info in found if info.is_file)

    def _require_bucket(self) -> None:
        from pyarrow.fs import FileType

        bucket = self._folder.partition("/")[0]
        try:
            missing = self._files.get_file_info(bucket).type == FileType.NotFound
        except OSError:  # listing was allowed, so it is there; asking about it needs more rights
            return
        if missing:
            raise NotFoundError(
                f"there is no bucket {bucket!r} for {self.location}; create it, "
                "or correct --checkpoint-dir"
            )

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _open(self, location: str) -> tuple[Any, str]:
        """A file system of pyarrow, and the folder in it."""
        try:
            from pyarrow import ArrowInvalid, ArrowNotImplementedError
            from pyarrow.fs import FileSystem
        except ImportError as error:
            raise self._unusable("it needs pyarrow; next: pip install pyarrow") from error
        try:
            files, folder = FileSystem.from_uri(location)
        except (ArrowInvalid, ArrowNotImplementedError, OSError) as error:
            if "Unrecognized filesystem type" not in str(error):  # quotes the URL: no 'from'
                raise self._unusable(f"{self._say(error)}; correct the URL") from None
            files, folder = self._open_fsspec(location)
        return files, folder.rstrip("/")

    def _open_fsspec(self, location: str) -> tuple[Any, str]:
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise self._unusable("it needs fsspec; next: pip install fsspec") from error
        try:
            inner, folder = url_to_fs(location)
        except ImportError as error:
            raise self._unusable(f"{self._say(error)}, with pip install") from None
        except ValueError as error:
            known = "s3://, gs://, abfs://, hdfs:// or a scheme that fsspec knows"
            raise self._unusable(f"{self._say(error)}; use a path, {known}") from None
        except Exception as error:  # noqa: BLE001 - some connect at once, and fail in their ways
            message = f"cannot open {self.location}: {self._say(error)}"
            raise StorageError(f"{message}; see that it can be reached") from None
        files = PyFileSystem(FSSpecHandler(inner))
        self._call("make", lambda: files.create_dir(folder, recursive=True))
        return files, folder

    def _unusable(self, why: str) -> UsageError:
        return UsageError(f"cannot use {self.location}: {why}")

    def _call(self, what: str, action: Callable[[], _Result]) -> _Result:
        """Run an action; what a file system raises becomes NotFoundError or StorageError."""
        try:
            return action()
        except FileNotFoundError:
            raise NotFoundError(f"cannot {what} {self.location}: it is not there") from None
        except Exception as error:  # noqa: BLE001 - each of fsspec's packages has its own kinds
            cause = self._say(error)
        message = f"cannot {what} {self.location}: {cause}"
        for symptom, advice in _LASTING.items():
            if re.search(symptom, cause):
                raise StorageError(f"{message}; {advice}")
        raise _PassingError(f"{message}; see that it can be reached and has room")

    def _say(self, error: Exception) -> str:
        """An error's first line, without secrets."""
        text = str(error).strip().partition("\n")[0] or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text.rstrip(".")


def _without_secrets(location: str) -> tuple[str, list[str]]:
    """A URL without login and query, and what must not be shown of them, the longest first."""
    bare, _, query = location.partition("?")
    secrets = [value for key, value in parse_qsl(query) if _SECRET.search(key)]
    login = re.match(r"[^/]+//([^@]*:.*)@", bare)  # 'container@account' is none
    if login is not None:
        bare = bare.replace(f"{login[1]}@", "", 1)
        secrets += [login[1], login[1].partition(":")[2]]
    secrets = [form for secret in secrets for form in (secret, quote(secret), unquote(secret))]
    return bare.rstrip("/"), sorted(filter(None, secrets), key=len, reverse=True)
