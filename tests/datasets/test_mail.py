"""What is read of an e-mail, and what is not."""

import subprocess
import sys

import pytest

from toolkit.datasets import mail
from toolkit.datasets.mail import text_of, without_footers
from toolkit.datasets.mailbox import kept_vocabulary, read, vocabulary

PARTS = b"""From: someone@example.org
X-Spam-Status: Yes, hits=12
List-Id: <the-list.example.org>
Subject: =?iso-8859-1?Q?[the-list]_Gr=FC=DFe?= from here
Content-Type: multipart/mixed; boundary=xx

--xx
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Sch=F6nen   Tag

--xx
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+Q2xpY2sgPGI+aGVyZTwvYj4mYW1wOyBub3c8c2NyaXB0PnZhciBhPTE8L3NjcmlwdD48L3A+
--xx
Content-Type: image/png
Content-Transfer-Encoding: base64

aW1hZ2U=
--xx--
"""


def test_what_people_read_and_its_markup_are_kept_and_telling_headers_are_not():
    text = text_of(PARTS, 1000)
    html = "<p>Click <b>here</b>& now<script>var a=1</script></p>"
    assert text == f"someone@example.org\nGrüße from here\n\nSchönen Tag\n{html}"
    assert text_of(PARTS, 19) == "someone@example.org"


def test_the_file_alone_makes_a_text_on_a_device():
    done = subprocess.run(
        [sys.executable, "-I", "-S", mail.__file__], input=PARTS, capture_output=True, check=True
    )
    assert done.stdout.decode() == text_of(PARTS, mail.MOST)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\0\0",
        b"no header at all",
        b"Subject: =?nonsense?Q?x?=\n\nhello",
        b'Content-Type: text/plain; charset="nonsense"\n\ncaf\xe9',
        b"Content-Type: text/plain; charset*=a'b'%zz\n\nx",
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"Content-Transfer-Encoding: base64\n\n!!!!",
        b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n???\n",
        b"Subject: \xed\xa0\x80\0\n\n\xed\xa0\x80\0",
    ],
)
def test_a_broken_mail_gives_the_text_that_can_be_had(content):
    text = text_of(content, 100)
    assert "\0" not in text
    text.encode("utf-8")


def test_an_unknown_charset_is_read_as_latin_1():
    assert text_of(b"Content-Type: text/plain; charset=nonsense\n\ncaf\xe9", 100) == "café"


def test_what_lists_add_goes():
    rule, words = "_" * 40, "\n".join(["words"] * 20)
    assert without_footers(f"{words}\n{rule}\nThe-List mailing list\nhttp://list") == words
    long = "\n".join(["line"] * 20)
    assert without_footers(f"{words}\n{rule}\n{long}").endswith("line")


def test_a_vocabulary_is_the_same_from_the_same_texts():
    texts = ["b a a c", "B a", "c b", "ü"]
    assert vocabulary(texts, 10, 1) == ["", "[UNK]", "b", "a", "c", "ü"]
    assert vocabulary(texts, 10, 2) == ["", "[UNK]", "b", "a", "c"]
    assert vocabulary(texts, 4, 1) == ["", "[UNK]", "b", "a"]


def test_a_vocabulary_is_kept_until_a_file_changes(tmp_path):
    folder = tmp_path / "spam" / "spam-1"
    folder.mkdir(parents=True)
    file = folder / "1.txt"
    file.write_text("Subject: one\n\ntwo")
    words = kept_vocabulary([file], 100, 10, 1)
    assert len(list(folder.parent.glob("words-*.txt"))) == 1
    assert kept_vocabulary([file], 100, 10, 1) == words == ["", "[UNK]", "one", "two"]
    file.write_text("Subject: one\n\nthree")
    assert kept_vocabulary([file], 100, 10, 1) == ["", "[UNK]", "one", "three"]
    assert read([file], 100) == ["one\n\nthree"]
