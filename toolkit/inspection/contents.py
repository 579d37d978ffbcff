"""What a reader of one format gives, whichever format that is."""

from dataclasses import dataclass

from edge.manifest import Manifest
from toolkit.inspection.graph import Graph
from toolkit.inspection.report import Port


@dataclass(frozen=True)
class Contents:
    """What a reader found in a file."""

    format: str
    graph: Graph
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    needs: dict[str, int | str]
    manifest: Manifest | None
