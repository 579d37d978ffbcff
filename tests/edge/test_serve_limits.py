"""What the HTTP server does with too much, too slow and too late."""

import socket
import threading
import time

import pytest


def test_a_broken_model_tells_the_log_and_not_the_client(slow):
    server = slow()
    status, answer, _ = server.predict(-1.0)
    assert (status, answer) == (500, {"error": "the model failed; the server's log says why"})
    code, err = server.stop()
    assert code == 0
    assert "secret of the runtime" in err
    assert "Traceback" not in err


def test_too_many_get_429_and_the_others_their_own_answers(slow):
    server = slow("--waiting", "2")
    answers = {}

    def ask(value):
        answers[value] = server.predict(value)

    threads = [threading.Thread(target=ask, args=(1 + i / 1000,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = {value: answer for value, answer in answers.items() if answer[0] == 200}
    refused = [answer for answer in answers.values() if answer[0] == 429]
    assert len(good) + len(refused) == 8
    assert len(good) >= 3
    assert refused
    for value, (_, answer, _) in good.items():
        assert answer["outputs"]["x"][0][0] == pytest.approx(2 * value)
    assert {answer[2]["Retry-After"] for answer in refused} == {"1"}


def test_who_waits_too_long_is_told(slow):
    server = slow("--timeout", "0.3")
    first = threading.Thread(target=server.predict, args=(1.0,))
    first.start()
    time.sleep(0.15)
    status, _, headers = server.predict(0.0)
    assert (status, headers["Retry-After"]) == (503, "1")
    first.join()


def test_a_body_that_does_not_come(slow):
    server = slow("--timeout", "0.3")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
        client.settimeout(5)
        assert b"403" in client.recv(100)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert b" 408 " in client.recv(100)


def test_it_stops_after_the_answer_at_hand(slow):
    server = slow()
    idle = socket.create_connection(("127.0.0.1", server.port))
    answers = []
    asking = threading.Thread(target=lambda: answers.append(server.predict(0.6)))
    asking.start()
    time.sleep(0.3)
    start = time.monotonic()
    code, err = server.stop()
    asking.join()
    assert (code, err) == (0, "")
    assert time.monotonic() - start < 3
    assert (answers[0][0], answers[0][1]["outputs"]["x"][0][0]) == (200, pytest.approx(1.2))
    idle.close()


def test_connections_are_limited(slow):
    server = slow("--waiting", "1")
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(34)]
    time.sleep(0.3)
    status, answer, _ = server.ask("GET", "/health")
    assert (status, answer) == (503, {"error": "too many connections"})
    for each in held:
        each.close()
    time.sleep(0.3)
    assert server.ask("GET", "/health")[0] == 200
