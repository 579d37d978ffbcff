"""From a wish to a draft: the one place where the kind of data decides."""

from toolkit.errors import UsageError
from toolkit.starter import table as tables
from toolkit.starter.draft import Draft
from toolkit.starter.wish import Wish, kind_of


def draft(wish: Wish) -> Draft:
    """Look at the data and write the recipe's text; nothing is written to disk.

    Raises:
        UsageError: the data do not allow it; names file, line and column, and the next step.
    """
    kind = wish.kind or kind_of(wish.data)
    if wish.data.is_dir() and kind in ("csv", "npz"):
        raise UsageError(f"{wish.data} is a folder; --kind {kind} needs a file")
    match kind:
        case "npz":
            from toolkit.starter import arrays

            return arrays.survey(wish)
        case "images":
            from toolkit.starter import pictures

            return pictures.survey(wish)
        case "text" if wish.data.is_dir():
            from toolkit.starter import texts

            return texts.of_folder(wish)
        case _:
            return _of_table(wish, kind)


def _of_table(wish: Wish, kind: str) -> Draft:
    from toolkit.starter import tabular, texts

    table = tables.read(wish.data)
    if wish.target is None:
        names = ", ".join(table.names)
        raise UsageError(
            f"--target is missing: which column of {wish.data} is to be predicted? It has: {names}"
        )
    if kind == "text" or (wish.kind is None and texts.is_text(table, wish.target)):
        return texts.of_table(wish, table, wish.target)
    return tabular.survey(wish, table, wish.target)
