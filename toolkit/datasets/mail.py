"""An e-mail's own words: sender, subject and text parts, decoded, with the markup of HTML.

Headers that would tell an answer by themselves stay out: verdicts of filters, receivers, relays,
dates and mailing lists, and so does a list's name that it puts in brackets before the subject.
Tags stay in, since their words, 'font', 'href' or 'tr', tell adverts from letters.
Reading follows what is there, not what a standard asks: a message that is broken gives the text
that can be had, since mail that nobody can parse is to be judged, too.

This file needs nothing but Python: on a device, 'python mail.py < letter.eml > letter.txt'.
"""

import email
import email.header
import email.message
import html
import re
import sys

MOST = 20_000  # characters of a mail that are kept

_LIST = re.compile(r"\[[^\[\]]{1,40}\]\s*")
_BLANKS = re.compile(r"[ \t\r\f\v\xa0]+")
_LINES = re.compile(r"\s*\n\s*")
_RULE = re.compile(r"^[-_=]{20,}$", re.MULTILINE)
_FOOTER = 8  # most lines of one
_LATIN = "latin-1"  # reads any byte


def text_of(content: bytes, most: int) -> str:
    """Sender, subject, an empty line, and all text parts, at most `most` characters.

    NUL characters and halves of surrogate pairs, which `tokenise` refuses, are left out.
    """
    message = email.message_from_bytes(content)
    subject = _LIST.sub("", _header(message, "Subject"))
    parts = [_header(message, "From"), subject, ""]
    room = most
    for part in message.walk():
        if part.get_content_maintype() != "text" or room <= 0:
            continue
        # more is read than is kept, as blanks go; and not all of a huge part
        text = _decoded(part)[: 4 * most]
        is_html = part.get_content_subtype() == "html"
        parts.append(squeezed(html.unescape(text) if is_html else text))
        room -= len(parts[-1])
    return without_footers("\n".join(parts)[:most].strip())


def without_footers(text: str) -> str:
    """`text` without the last lines below a ruled line, twice: what mailing lists add to a mail.

    It names the list, and would teach that its mail is wanted, whoever wrote it.
    """
    for _ in range(2):
        rules = list(_RULE.finditer(text))
        if not rules or rules[-1].start() < 0.3 * len(text):
            break
        start = rules[-1].start()
        if text.count("\n", start) > _FOOTER:
            break
        text = text[:start].rstrip()
    return text


def squeezed(text: str) -> str:
    """`text` without needless blanks and empty lines."""
    kept = text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")
    return _LINES.sub("\n", _BLANKS.sub(" ", kept)).strip()


def _header(message: email.message.Message, name: str) -> str:
    """A header's words as people read them, in one line; '' if there is none."""
    raw = str(message.get(name, ""))
    try:
        decoded = str(email.header.make_header(email.header.decode_header(raw)))
    except (LookupError, UnicodeError, ValueError):
        decoded = raw
    return squeezed(decoded).replace("\n", " ")


def _decoded(part: email.message.Message) -> str:
    """A text part's characters; of a charset that is unknown or wrong, as Latin-1."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    for charset in (_charset(part), "utf-8"):
        try:
            return content.decode(charset)
        except (LookupError, UnicodeError, ValueError):
            continue
    return content.decode(_LATIN)


def _charset(part: email.message.Message) -> str:
    try:
        return str(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeError, ValueError):
        return "utf-8"


if __name__ == "__main__":
    sys.stdout.buffer.write(text_of(sys.stdin.buffer.read(), MOST).encode())
