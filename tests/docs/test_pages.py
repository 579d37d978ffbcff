"""Every command that a page shows is one that the toolkit takes; every link and page is there."""

import click
import pytest

from docs.building import links
from tests.docs.pages import PAGES, ROOT, commands, name_of, navigation
from toolkit.cli import cli
from toolkit.cli_settings import Asked

MADE = {"reference/cli.md", "reference/edge-cli.md"}


def parse(words):
    """What the command line makes of a command, without running it."""
    context = cli.make_context("toolkit", words[1:], obj=Asked({}))
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context)
    return context


def shown():
    return [(name_of(page), words) for page in PAGES for words in commands(page.read_text())]


@pytest.mark.parametrize(
    ("page", "words"), shown(), ids=lambda v: v if isinstance(v, str) else None
)
def test_commands_that_pages_show_are_parsed(page, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no settings file is
    try:
        parse(words)
    except click.exceptions.Exit:  # --help
        pass
    except click.ClickException as error:
        pytest.fail(f"{page}: {' '.join(words)}: {error.format_message()}")


def test_there_are_commands_and_a_wrong_one_is_noticed():
    assert len(shown()) > 60
    assert commands("```sh\nFOO=1 toolkit run x \\\n  --workers 2   # why\n```\n") == [
        ["toolkit", "run", "x", "--workers", "2"]
    ]
    for wrong in (["toolkit", "rum"], ["toolkit", "export", "--targett", "onnx"]):
        with pytest.raises(click.ClickException):
            parse(wrong)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page):
    made = {(ROOT / "docs" / name).resolve() for name in MADE}
    for target in links.relative(page.read_text()):
        path = (page.parent / target).resolve()
        assert path.exists() or path in made, f"{name_of(page)} links to {target}"


def test_every_page_is_in_the_navigation():
    pages = {links.page_of(name_of(page)) for page in PAGES if page.name != "README.md"}
    pages |= {links.page_of(name_of(ROOT / name)) for name in links.PAGES}
    assert pages | MADE <= navigation(), "add it under nav: in mkdocs.yml"
    assert navigation() <= pages | MADE


def test_links_that_leave_the_folder_lead_to_pages_or_become_names():
    assert links.moved("[a](../deploy/ray/README.md#x)", "docs/edge.md") == "[a](deploy/ray.md#x)"
    assert links.moved("[a](../../docs/cluster.md)", "deploy/ray/README.md") == "[a](../cluster.md)"
    assert links.moved("[a](../Makefile)", "docs/edge.md") == "[a] (`Makefile`)"
    assert links.moved("[a](https://x.org) `b`", "docs/edge.md") == "[a](https://x.org) `b`"
