"""Clients of the soak: threads that ask at random, well and badly, and check every answer."""

import contextlib
import http.client
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tests.serve import bad_requests
from tests.serve.soak_requests import WrongAnswerError, heavy_questions, random_question

BAD = bad_requests.cases()
OVER = (1 << 20) + 4096  # the server of the soak takes a MiB
_IDLE = 2.0  # seconds after which a connection is not used again: the server may close it
_LINGER = struct.pack("ii", 1, 0)


@dataclass
class Record:
    """What happened, of all threads.

    Attributes:
        counts: requests by kind.
        versions: answers by (model, version).
        wrong: answers that were not right.
        failed: (begun, ended, text) of requests that got no answer, or another status than due.
    """

    counts: Counter = field(default_factory=Counter)
    versions: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind):
        with self.lock:
            self.counts[kind] += 1

    def answered(self, question, number):
        with self.lock:
            self.counts[f"{question.kind} {question.model}"] += 1
            self.versions[question.model, number] += 1


class Client(threading.Thread):
    """Asks until it is told to stop.

    Args:
        port: of the server.
        versions: `Versions` by model.
        record: of all.
        stop: set at the end.
        seed: of what it asks.
        pause: most seconds between two requests.
    """

    def __init__(self, port, versions, record, stop, seed, pause):
        super().__init__(daemon=True, name=f"client-{seed}")
        self._port, self._versions, self._record = port, versions, record
        self._stopping, self._pause = stop, pause
        self._random, self._numbers = random.Random(seed), np.random.default_rng(seed)
        self._connection, self._used = self._opened(), 0.0
        self._steps = (self._good, self._burst, self._bad, self._cancelled, self._oversized)
        self.begun = time.monotonic()

    def run(self):
        while not self._stopping.is_set():
            (step,) = self._random.choices(self._steps, (80, 5, 9, 4, 2))
            self.begun = time.monotonic()
            try:
                step()
            except WrongAnswerError as error:
                self._record.wrong.append(str(error))
            except (OSError, http.client.HTTPException) as error:
                self._fail(f"{step.__name__}: {error!r}")
                self._connection.close()
            time.sleep(self._random.random() * self._pause)
        self._connection.close()

    def _fail(self, text):
        self._record.failed.append((self.begun, time.monotonic(), text))

    def _opened(self):
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)

    def _ask(self, method, path, body, headers):
        if time.monotonic() - self._used > _IDLE:
            self._connection.close()
        self._connection.request(method, path, body, headers)
        return self._answer(self._connection)

    def _answer(self, connection):
        answer = connection.getresponse()
        content = answer.read()
        self._used = time.monotonic()
        return answer.status, answer.headers, content

    def _least(self, question):
        known = self._versions.get(question.model)
        return known.least if known else 1

    def _check(self, question, least, status, headers, content):
        if status != 200:
            self._fail(f"{question.kind} {question.model}: {status} {content[:200]}")
            return
        known = self._versions.get(question.model)
        allowed = known.allowed(least) if known else [1]
        self._record.answered(question, question.check(headers, content, allowed))

    def _good(self):
        question = random_question(self._numbers)
        least = self._least(question)
        answer = self._ask("POST", question.path, question.body, question.headers)
        self._check(question, least, *answer)

    def _burst(self):
        """Several requests at once, which the server joins."""
        questions = heavy_questions(self._numbers, 8)
        least = self._least(questions[0])
        with contextlib.ExitStack() as stack:
            open_ones = [stack.enter_context(contextlib.closing(self._opened())) for _ in questions]
            for connection, question in zip(open_ones, questions, strict=True):
                connection.request("POST", question.path, question.body, question.headers)
            for connection, question in zip(open_ones, questions, strict=True):
                self._check(question, least, *self._answer(connection))

    def _bad(self):
        case = self._random.choice(BAD)
        status, _, content = self._ask(case.method, case.path, case.body, case.headers)
        text = content.decode()
        if status != case.status or any(word not in text for word in case.words if '"' not in word):
            self._fail(f"bad request {case.name}: {status} {text[:200]}")
        self._record.count("bad")

    def _cancelled(self):
        """Send all or a part, and go away without reading; abruptly every other time."""
        question = random_question(self._numbers)
        end = self._random.choice([len(question.body), len(question.body) // 2])
        lines = [f"POST {question.path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in question.headers.items()]
        lines += [f"Content-Length: {len(question.body)}", "", ""]
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
            connection.sendall("\r\n".join(lines).encode() + question.body[:end])
            time.sleep(self._random.random() * 0.004)
            if self._random.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self._record.count("cancelled")

    def _oversized(self):
        """A body over the limit, told or in chunks: refused, or the connection ends."""
        with contextlib.closing(self._opened()) as connection:
            body = b"[" * OVER
            is_chunked = self._random.random() < 0.5
            given = iter([body[: OVER // 2], body[OVER // 2 :]]) if is_chunked else body
            path = "/v2/models/number/infer"
            with contextlib.suppress(ConnectionError):  # it need not read on
                connection.request("POST", path, given, encode_chunked=is_chunked)
            try:
                status, _, content = self._answer(connection)
            except (ConnectionError, http.client.HTTPException):
                self._record.count("oversized, cut off")
                return
        if status != 413 or list(json.loads(content)) != ["error"]:
            self._fail(f"oversized body: {status} {content[:200]}")
        self._record.count("oversized")
