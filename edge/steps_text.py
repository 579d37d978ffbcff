"""The step from texts to numbers: tokenise by a vocabulary, to ids of one length.

A token's id is its place in the vocabulary. Letters are told from other characters, and made lower,
as Python's str does.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import islice

import numpy as np

from edge.steps_fields import Family, Run, Step, choice, first, flag, shown, whole

SPLITS = {
    "words": re.compile(r"[^\W_]+"),
    "whitespace": re.compile(r"\S+"),
    "characters": re.compile(r".", re.DOTALL),
}
"""Rule -> what a token is: a run of letters and digits, a run without blanks, one character."""

TRUNCATE = ("end", "begin")
MAX_LENGTH = 1 << 16
MAX_TOKENS = 1 << 18
MAX_TEXT = 1 << 22
"""Most bytes of a member that holds a vocabulary."""

_MEMBER = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_MAX_ID = 2**31 - 1


def read_vocabulary(content: bytes) -> list[str]:
    """The tokens of a file in UTF-8, one a line; raises ValueError if it is something else."""
    if len(content) > MAX_TEXT:
        raise ValueError(f"{len(content)} bytes, over the limit of {MAX_TEXT}")
    return content.decode("utf-8").removesuffix("\n").split("\n")


def _problem(step: Step) -> str:
    return first(
        _vocabulary_problem(step["vocabulary"]),
        whole(step, "length", 1, MAX_LENGTH),
        whole(step, "unknown", 0, _MAX_ID),
        whole(step, "padding", 0, _MAX_ID),
        choice(step, "split", tuple(SPLITS)),
        choice(step, "truncate", TRUNCATE),
        flag(step, "lower"),
    )


def _vocabulary_problem(vocabulary: object) -> str:
    if isinstance(vocabulary, dict):
        name = vocabulary.get("member")
        good = len(vocabulary) == 1 and isinstance(name, str) and _MEMBER.fullmatch(name)
        return "" if good else f"vocabulary is {shown(vocabulary)}, not an object with a member"
    if not isinstance(vocabulary, (list, tuple)) or not vocabulary:
        return f"vocabulary is {shown(vocabulary)}, not a list of texts"
    if len(vocabulary) > MAX_TOKENS:
        return f"vocabulary has {len(vocabulary)} tokens, over the limit of {MAX_TOKENS}"
    seen = set()
    for token in vocabulary:
        if not isinstance(token, str):
            return f"vocabulary holds {shown(token)}, not a text"
        if token in seen:
            return f"vocabulary holds {shown(token)} twice"
        seen.add(token)
    return ""


def _tokenise(step: Step) -> Run:
    ids = {token: place for place, token in enumerate(step["vocabulary"])}
    length: int = step["length"]
    unknown: int = step["unknown"]
    padding: int = step["padding"]
    pattern, lower = SPLITS[step.get("split", "words")], step.get("lower", False)
    keep_end = step.get("truncate", "end") == "begin"

    def tokens(text: str) -> Sequence[int]:
        found = pattern.finditer(text.lower() if lower else text)
        # Neither way holds more than `length` tokens of a text of any length.
        matches = deque(found, length) if keep_end else islice(found, length)
        return [ids.get(match.group(), unknown) for match in matches]

    def run(batch: np.ndarray) -> np.ndarray:
        if batch.shape[1:] not in ((), (1,)):
            raise ValueError("one text a sample is needed")
        made = np.full((len(batch), length), padding, np.int32)
        for row, text in zip(made, batch.reshape(-1).tolist()):
            if not isinstance(text, str):
                raise ValueError(f"{shown(text)} is no text")
            found = tokens(text)
            row[: len(found)] = found
        return made

    return run


FAMILY: Family = ({"tokenise": _problem}, {"tokenise": _tokenise})
