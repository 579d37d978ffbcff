"""Fetching from a registry: whole and right, or an error and nothing."""

import tarfile

import pytest

from tests.conftest import run_toolkit
from tests.datasets.conftest import integrity, tarball
from toolkit.datasets import npm, places, unpack
from toolkit.datasets.catalog import SETS, DataSet, Debian, Npm
from toolkit.datasets.fetch import fetch
from toolkit.errors import DataError, StorageError, UsageError

PATH = "/@some/mails/-/mails-1.0.0.tgz"
GOOD = (
    ("package/data/spam-1/1.txt", b"Subject: buy"),
    ("package/data/spam-1/1.json", b"{}"),
    ("package/data/easy-ham-1/1.txt", b"Subject: hello"),
    ("package/README.md", b"mails"),
)


def mails(content: bytes, files: int = 2) -> DataSet:
    source = Npm("@some/mails", "1.0.0", integrity(content), "package/data", ".txt")
    return DataSet("mails", "mails", 1, "CC0-1.0", files, source)


def test_what_is_kept_of_a_package_is_stored_once(registry):
    content = registry.files[PATH] = tarball(*GOOD)
    folder, fresh = fetch(mails(content))
    assert (folder, fresh) == (places.folder("mails"), True)
    stored = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert stored == {"spam-1/1.txt", "easy-ham-1/1.txt"}
    assert (folder / "spam-1/1.txt").read_bytes() == b"Subject: buy"
    assert fetch(mails(content)) == (folder, False)
    assert registry.asked == [PATH]
    (folder / "mine.txt").write_text("left over")
    assert fetch(mails(content), force=True) == (folder, True)
    assert not (folder / "mine.txt").exists()


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("package/data/../../../evil.txt", b"x")], "leads out of its folder"),
        ([("/tmp/evil.txt", b"x")], "leads out of its folder"),
        ([link("package/data/spam-1/a.txt", tarfile.SYMTYPE, "/etc/passwd")], "link or device"),
        ([link("package/data/spam-1/a.txt", tarfile.LNKTYPE, "../../x")], "link or device"),
        ([link("package/data/spam-1/a.txt", tarfile.FIFOTYPE, "")], "link or device"),
        ([("package/data/spam-1/big.txt", bytes((1 << 24) + 1))], "larger than allowed"),
        ([GOOD[0]], "holds 1 files"),
    ],
)
def test_a_package_that_is_not_as_it_should_be_leaves_nothing(registry, members, words):
    content = registry.files[PATH] = tarball(*members)
    with pytest.raises(StorageError, match=words):
        fetch(mails(content))
    assert list(places.root().iterdir()) == []


def test_other_bytes_than_those_pinned_are_refused(registry):
    registry.files[PATH] = tarball(*GOOD[:1])
    with pytest.raises(StorageError, match=r"is not @some/mails 1\.0\.0.*nothing was kept"):
        fetch(mails(b"what was pinned"))
    assert list(places.root().iterdir()) == []


def test_a_failed_fetch_leaves_what_was_there(registry):
    content = registry.files[PATH] = tarball(*GOOD)
    folder, _ = fetch(mails(content))
    registry.cut = 10
    with pytest.raises(StorageError, match=r"ended after|cannot be fetched"):
        fetch(mails(content), force=True)
    assert (folder / "spam-1/1.txt").is_file()
    assert [path.name for path in places.root().iterdir()] == ["mails"]


def test_a_tarball_that_is_none(registry):
    registry.files[PATH] = b"no gzip"
    with pytest.raises(StorageError, match="tarball cannot be read"):
        fetch(mails(b"no gzip"))


def test_a_registry_that_lacks_the_package_or_is_not_there(registry, monkeypatch):
    with pytest.raises(StorageError, match=rf"{registry.url}.*404.*npm config get registry"):
        fetch(mails(b""))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(StorageError, match="cannot be fetched"):
        fetch(mails(b""))


def test_the_registry_is_what_npm_is_set_to(monkeypatch, tmp_path):
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    program = tmp_path / "npm"
    program.write_text(
        '#!/bin/sh\ncase "$3" in @mine:registry) echo http://scoped/ ;; '
        "registry) echo http://set ;; *) echo undefined ;; esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert npm.registry("@some/mails") == "http://set/"
    assert npm.registry("@mine/mails") == "http://scoped/"
    monkeypatch.setenv("npm_config_registry", "http://variable/npm")
    assert npm.registry("@some/mails") == "http://variable/npm/"
    monkeypatch.setenv("npm_config_registry", "file:///etc/")
    with pytest.raises(UsageError, match="no http or https address"):
        npm.registry("@some/mails")


def test_without_npm_there_is_its_default(monkeypatch, tmp_path):
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert npm.registry("@some/mails") == "https://registry.npmjs.org/"


def test_a_machine_without_apt_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="apt-get is not on this machine"):
        unpack.debian(Debian("dataset-fashion-mnist", "usr/share"), tmp_path)


def test_data_that_were_not_fetched_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TOOLKIT_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match="toolkit data fetch spam"):
        places.folder("spam")
    done = run_toolkit("train", "spam", "--json", TOOLKIT_DATA_DIR=str(tmp_path))
    assert done.code == 2
    assert "toolkit data fetch spam" in done.json["error"]


def test_the_commands(tmp_path):
    place = {"TOOLKIT_DATA_DIR": str(tmp_path)}
    (tmp_path / "spam").mkdir()
    listed = run_toolkit("data", "list", "--json", **place).json
    assert {each["name"]: each["folder"] for each in listed["sets"]} == {
        "spam": str(tmp_path / "spam"),
        **dict.fromkeys(("fashion", "motion", "vowels", "pulse")),
    }
    there = run_toolkit("data", "fetch", "spam", "--json", **place)
    assert there.json == {"name": "spam", "folder": str(tmp_path / "spam"), "fetched": False}
    wrong = run_toolkit("data", "fetch", "span", "--json", **place)
    assert (wrong.code, "did you mean 'spam'" in wrong.json["error"]) == (2, True)


@pytest.mark.soak
@pytest.mark.parametrize("name", [each.name for each in SETS])
def test_the_real_packages(name, tmp_path):
    done = run_toolkit("data", "fetch", name, "--json", TOOLKIT_DATA_DIR=str(tmp_path))
    assert done.code == 0, done.err
    assert done.json["fetched"]
