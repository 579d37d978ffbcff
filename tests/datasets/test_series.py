"""Series in .ts files, and files that are none."""

import numpy as np
import pytest

from toolkit.datasets.series import read
from toolkit.errors import DataError

HEAD = "# a comment\n@problemName Waves\n@timeStamps false\n@classLabel true Up Down\n@data\n"


def stored(tmp_path, text):
    path = tmp_path / "waves.ts"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_cases_may_differ_in_length(tmp_path):
    cases, labels = read(stored(tmp_path, f"{HEAD}1,2,3:4,5,6:Up\n\n-1.5e0,2:0,.5:Down\n"))
    assert labels == ["Up", "Down"]
    assert [case.dtype for case in cases] == [np.float32, np.float32]
    np.testing.assert_array_equal(cases[0], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(cases[1], [[-1.5, 2], [0, 0.5]])


def test_letters_of_a_comment_may_be_in_any_charset(tmp_path):
    cases, _ = read(stored(tmp_path, b"# caf\xe9\r\n" + HEAD.encode() + b"1:Up\r\n"))
    assert [case.tolist() for case in cases] == [[[1]]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no line '@data'"),
        ("1,2:Up\n", "line 1: '@data' is missing"),
        ("@data\n1,2:Up\n", "line 1: no '@classLabel true'"),
        ("@classLabel false\n@data\n1,2\n", "line 2: no '@classLabel true'"),
        ("@timeStamps true\n", "line 1: series with time stamps"),
        (HEAD, "holds no series"),
        (f"{HEAD}1,2\n", "line 6: it has no ':'"),
        (f"{HEAD}1,2:Sideways\n", "line 6: the label 'Sideways' is none of Up, Down"),
        (f"{HEAD}1,2:3:Up\n", r"line 6: its channels differ in length: \[2, 1\]"),
        (f"{HEAD}1:2:Up\n1:Up\n", "line 7: 1 channels, though the first case has 2"),
        (f"{HEAD}1,?:Up\n", "line 6: a value is missing"),
        (f"{HEAD}1,x:Up\n", "line 6: could not convert"),
        (f"{HEAD}1,:Up\n", "line 6: could not convert"),
        (f"{HEAD}1,nan:Up\n", "line 6: a value is not finite"),
        (f"{HEAD}1,1e39:Up\n", "line 6: a value is not finite, or too large"),
        (b"\0\xff\xfe", "line 1: '@data' is missing"),
    ],
)
def test_a_file_that_is_none_names_the_line(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read(stored(tmp_path, text))


def test_a_file_that_is_not_there_names_the_command(tmp_path):
    with pytest.raises(DataError, match="'toolkit data fetch motion --force'"):
        read(tmp_path / "motion" / "waves.ts")
