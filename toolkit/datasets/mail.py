"""An e-mail's own words: subject and text parts, decoded, without markup.

Headers that would tell an answer by themselves stay out: verdicts of filters, addresses, relays,
dates and mailing lists, and so does a list's name that it puts in brackets before the subject.
Reading follows what is there, not what a standard asks: a message that is broken gives the text
that can be had, since mail that nobody can parse is to be judged, too.
"""

import email
import email.header
import email.message
import html
import re

_MARKUP = re.compile(
    r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<[a-zA-Z/!?][^<>]*>", re.DOTALL | re.IGNORECASE
)
_LIST = re.compile(r"\[[^\[\]]{1,40}\]\s*")
_BLANKS = re.compile(r"[ \t\r\f\v\xa0]+")
_LINES = re.compile(r"\s*\n\s*")
_RULE = re.compile(r"^[-_=]{20,}$", re.MULTILINE)
_FOOTER = 8  # most lines of one
_LATIN = "latin-1"  # reads any byte


def text_of(content: bytes, most: int) -> str:
    """Subject, an empty line, and the words of all text parts, at most `most` characters.

    NUL characters and halves of surrogate pairs, which `tokenise` refuses, are left out.
    """
    message = email.message_from_bytes(content)
    parts = [_subject(message), ""]
    room = most
    for part in message.walk():
        if part.get_content_maintype() != "text" or room <= 0:
            continue
        # four times as much markup as text is read, so that a huge part costs no more than others
        text = _decoded(part)[: 4 * most]
        words = plain(text) if part.get_content_subtype() == "html" else squeezed(text)
        parts.append(words)
        room -= len(words)
    return without_footers("\n".join(parts)[:most].strip())


def plain(markup: str) -> str:
    """The words of a page, crudely: without tags, comments, scripts and styles."""
    return squeezed(html.unescape(_MARKUP.sub(" ", markup)))


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


def _subject(message: email.message.Message) -> str:
    """The subject as people read it, without a mailing list's name."""
    raw = str(message.get("Subject", ""))
    try:
        decoded = str(email.header.make_header(email.header.decode_header(raw)))
    except (LookupError, UnicodeError, ValueError):
        decoded = raw
    return squeezed(_LIST.sub("", decoded)).replace("\n", " ")


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
