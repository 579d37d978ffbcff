"""What --json prints keeps to docs/schemas, and nothing is printed that they do not tell of."""

import json

import click
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.conftest import ROOT
from toolkit import cli
from toolkit.artifacts import Check, Export
from toolkit.cli_settings import commands

FOLDER = ROOT / "docs" / "schemas"
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}


def strict(schema):
    """The same, refusing properties that it does not name."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if "required" in schema and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


STRICT = {f"{name}.json": strict(schema) for name, schema in SCHEMAS.items()}
REGISTRY = Registry().with_resources(
    (name, Resource.from_contents(schema)) for name, schema in STRICT.items()
)


def check(name, value):
    Draft202012Validator(STRICT[f"{name}.json"], registry=REGISTRY).validate(value)


def test_schemas_are_schemas_and_are_documented():
    page = (ROOT / "docs" / "json.md").read_text()
    for name, schema in SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert f"schemas/{name}.json" in page, name


def test_every_command_has_a_schema():
    other = {"keys new": "keys", "keys rotate": "keys", "keys retire": "keys"}
    other |= {"keys revoke": "keys", "keys list": "keys-list"}
    for path, command in commands(cli.cli):
        name = " ".join(path)
        takes = any("--json" in p.opts for p in command.params if isinstance(p, click.Option))
        name = name.replace("data ", "data-")
        if name != "serve":  # has no result; its log lines are described in docs/serving.md
            assert takes
            assert other.get(name, name) in SCHEMAS, name


@pytest.mark.parametrize(("name", "kind"), [("export-row", Export), ("check-row", Check)])
def test_rows_are_what_the_values_hold(name, kind):
    assert set(SCHEMAS[name]["properties"]) == set(kind.__dataclass_fields__)


def test_commands_about_a_run(toolkit, made):
    check("runs", toolkit("runs", "--json").json)
    check("run-facts", toolkit("runs", "--json").json["runs"][0])
    check("train", made.facts | {"run": str(made.path)})
    check("run", made.facts | {"run": str(made.path), "checks": made.verification["checks"]})
    check("report", toolkit("report", "--json").json)
    check("clean", toolkit("clean", "--keep", "0", "--json").json)
    check("error", toolkit("export", "--run", "x", "--json").json)


def test_commands_about_models_from_elsewhere(toolkit, net):
    given = ("--samples", "samples.npz", "--target", "onnx")
    check("export", toolkit("export", "net.onnx", *given, "--json").json)
    verified = toolkit("verify", "--json").json
    check("verify", verified)
    assert verified["passed"]
    benched = toolkit("bench", "--seconds", "0.1", "--json")
    assert benched.code == 0, benched.err  # without targets there is no metric
    check("bench", benched.json)
    check("inspect", toolkit("inspect", "net.onnx", "--json").json)
    check("verify-pair", toolkit("verify", "net.onnx", "net.onnx", "--json").json)


def test_commands_around_projects(toolkit, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(40)))
    check("init", toolkit("init", "--data", "a.csv", "--target", "y", "--json").json)
    check("doctor", toolkit("doctor", "--json").json)
    check("completion", toolkit("completion", "bash", "--json").json)
    check("config", toolkit("config", "--all", "--json").json)
    check("keys", toolkit("keys", "new", "private", "--json").json)
    check("data-list", toolkit("data", "list", "--json").json)
    check("keys-list", toolkit("keys", "list", "--json").json)


def test_plans(toolkit, made, net):
    for arguments in (
        ["train", "linear"],
        ["train", "linear", "--prove"],
        ["run", "digits", "--precision", "all"],
        ["run", "linear", "--precision", "best"],
        ["verify"],
        ["bench"],
        ["bundle", "--unsigned", "--framework", "tf"],
        ["export", "net.onnx", "--target", "onnx"],
    ):
        check("plan", toolkit(*arguments, "--dry-run", "--json").json)


def test_the_outputs_that_no_command_makes_cheaply():
    proof = {"framework": "tf", "workers": 2, "steps": 20, "difference": 0.0, "where": "w"}
    check("train-prove", {"passed": True, "proofs": [proof | {"causes": [], "passed": True}]})
    check("data-fetch", {"name": "a", "folder": "b", "fetched": True})
    check("bundle", {"bundle": "a.edge", "bytes": 1, "signed": False})


def test_a_schema_would_notice():
    with pytest.raises(Exception, match="was unexpected"):
        check("keys", {"key": "a", "more": 1})
