"""What the soak asks of the server's processes: replicas, states of versions, memory, batches."""

import socket
import time

import numpy as np
import psutil


def slopes(memory, first):
    """(least MB of the first fifth, of the last fifth, MB a minute) of each process.

    The least: while a version loads beside the old, there are two.

    Args:
        memory: rows (seconds, MB) by process.
        first: seconds of each process that do not count.
    """
    found = []
    for rows in memory.values():
        later = np.array([row for row in rows if row[0] >= rows[0][0] + first])
        if len(later) < 20:
            continue
        part = len(later) // 5
        slope = np.polyfit(later[:, 0], later[:, 1], 1)[0] * 60
        found.append((later[:part, 1].min(), later[-part:, 1].min(), slope))
    return found


def ray_flags(plan):
    if not plan.replicas:
        return ()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ("--ray", "--replicas", str(plan.replicas), "--cpus", "0.5", "--port", str(port))
    return (*flags, "--haproxy") if plan.haproxy else flags


def replicas_of(running):
    """Processes of the replicas, the oldest first."""
    found = []
    for process in psutil.Process(running.process.pid).children(recursive=True):
        try:
            if "ServeReplica" in " ".join(process.cmdline()):
                found.append((process.create_time(), process))
        except psutil.Error:
            continue
    return [process for _, process in sorted(found, key=lambda row: row[0])]


def row_of(running, model, number):
    """The state of a version; a state without it while it is not known."""
    for _ in range(3):
        try:
            _, value, _ = running.get(f"/v1/models/{model.name}")
            rows = value["model_version_status"]
            break
        except (OSError, KeyError, TypeError, ValueError):  # of a replica that was killed
            rows = []
    unknown = {"state": "", "status": {"error_message": ""}}
    return next((row for row in rows if row["version"] == str(number)), unknown)


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def joined(metrics):
    """Samples a call of the heavy model, on average."""
    sums = {}
    for line in metrics.splitlines():
        for part in ("sum", "count"):
            if line.startswith(f"toolkit_batch_samples_{part}") and 'model="heavy"' in line:
                sums[part] = sums.get(part, 0.0) + float(line.rsplit(" ", 1)[1])
    return sums["sum"] / sums["count"] if sums.get("count") else 0.0
