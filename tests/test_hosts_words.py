"""How exits, errors and logs of other processes are put into words."""

import os

import pytest

from toolkit.errors import ConversionError
from toolkit.hosts import HostError, as_host_error, describe_exit, output_to, tail


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (-11, "killed by SIGSEGV"),
        (-9, "killed by SIGKILL"),
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (None, "ended with exit code None"),
        (-40, "killed by signal 40"),
    ],
)
def test_how_a_process_ended_is_told(code, expected):
    assert describe_exit(code) == expected


def test_the_tail_of_a_log(tmp_path):
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_bytes(b"".join(b"%d\n" % n for n in range(30)) + b"\xff\n\n\n")
    assert tail(log).splitlines() == [*map(str, range(19, 30)), "\ufffd"]


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError("in user code:\n\n  File x\n\n  the reason"), "ValueError: the reason"),
        (ValueError(), "ValueError: "),
        (KeyError("name"), "KeyError: 'name'"),
    ],
)
def test_a_foreign_error_is_summed_up_in_a_line(error, summary):
    wrapped = as_host_error(error)
    assert isinstance(wrapped, HostError)
    assert str(wrapped) == summary
    kept = ConversionError("as it is")
    assert as_host_error(kept) is kept


def test_output_is_given_back_after_an_error(tmp_path, capfd):
    def fail():
        with output_to(tmp_path / "log"):
            os.write(1, b"inside\n")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    os.write(1, b"outside\n")
    assert (tmp_path / "log").read_text() == "inside\n"
    assert capfd.readouterr().out == "outside\n"
