"""Images in class folders, read in parallel by Ray Data."""

from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import DataError
from toolkit.recipe import Array


def image_folder(path: str | Path, size: tuple[int, int]) -> Any:
    """Read images that lie in one folder a class, as `PATH/cat/1.png`.

    Returns:
        A `ray.data.Dataset` with the columns 'x', uint8 [height, width, 3], and 'y', the number
        of the image's folder in alphabetical order.

    Args:
        path: the folder of the class folders, on this machine or one that all machines share.
        size: height and width in pixels, to which images are resized.

    Raises:
        DataError: there are no class folders.
    """
    import ray.data

    root = Path(path).absolute()
    classes = sorted(each.name for each in root.iterdir() if each.is_dir()) if root.is_dir() else []
    if not classes:
        raise DataError(f"{root} has no class folders; images must lie as in {root}/cat/1.png")
    numbers = {name: number for number, name in enumerate(classes)}

    def columns(batch: dict[str, Any]) -> dict[str, Array]:
        names = [Path(each).relative_to(root).parts[0] for each in batch["path"]]
        return {"x": batch["image"], "y": np.array([numbers[name] for name in names], np.int64)}

    folders = [str(root / name) for name in classes if any((root / name).iterdir())]
    images = ray.data.read_images(folders, size=size, mode="RGB", include_paths=True)
    return images.map_batches(columns, batch_format="numpy")
