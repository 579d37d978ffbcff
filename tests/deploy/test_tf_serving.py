"""The configuration of TensorFlow Serving: text forms of its own messages, and the flags."""

import re

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "tf-serving"
FIELD = descriptor_pb2.FieldDescriptorProto

# Not in tensorflow-serving-api: as session_bundle_config.proto and monitoring_config.proto have it.
BATCHING = {
    "max_batch_size": (1, ".google.protobuf.Int64Value"),
    "batch_timeout_micros": (2, ".google.protobuf.Int64Value"),
    "max_enqueued_batches": (3, ".google.protobuf.Int64Value"),
    "num_batch_threads": (4, ".google.protobuf.Int64Value"),
    "thread_pool_name": (5, ".google.protobuf.StringValue"),
    "allowed_batch_sizes": (6, FIELD.TYPE_INT64),
    "pad_variable_length_inputs": (7, FIELD.TYPE_BOOL),
}
PROMETHEUS = {"enable": (1, FIELD.TYPE_BOOL), "path": (2, FIELD.TYPE_STRING)}
MONITORING = {"prometheus_config": (1, ".test.PrometheusConfig")}


@pytest.fixture(scope="module")
def messages():
    """Classes by name."""
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in (
        ("BatchingParameters", BATCHING),
        ("PrometheusConfig", PROMETHEUS),
        ("MonitoringConfig", MONITORING),
    ):
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = FIELD.LABEL_REPEATED if field.startswith("allowed") else FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = FIELD.TYPE_MESSAGE, kind
            else:
                added.type = kind
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles(["test.proto"], pool)


def test_models_are_versioned_and_labelled():
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    text = (FOLDER / "models.config").read_text()
    found = text_format.Parse(text, config.ModelServerConfig())
    (model,) = found.model_config_list.config
    assert (model.name, model.base_path) == ("digits", "/models/digits")
    assert model.model_platform == "tensorflow"
    assert model.model_version_policy.latest.num_versions == 2
    assert dict(model.version_labels) == {"stable": 1}


def test_batches_are_limited_and_end_with_the_greatest(messages):
    text = (FOLDER / "batching.config").read_text()
    found = text_format.Parse(text, messages["test.BatchingParameters"]())
    sizes = list(found.allowed_batch_sizes)
    assert sizes == sorted(sizes)
    assert sizes[-1] == found.max_batch_size.value
    assert found.batch_timeout_micros.value <= 5000
    assert found.num_batch_threads.value > 0
    assert found.max_enqueued_batches.value > 0


def test_metrics_are_on(messages):
    text = (FOLDER / "monitoring.config").read_text()
    found = text_format.Parse(text, messages["test.MonitoringConfig"]())
    assert found.prometheus_config.enable
    assert found.prometheus_config.path.startswith("/")


def test_the_container_gets_these_files_and_is_published_on_loopback():
    (service,) = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"].values()
    named = re.findall(r"/config/(\S+)", " ".join(service["command"]))
    assert sorted(named) == ["batching.config", "models.config", "monitoring.config"]
    assert all((FOLDER / name).exists() for name in named)
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert ".:/config:ro" in service["volumes"]


def test_the_readme_gives_the_same_flags():
    (service,) = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"].values()
    told = (FOLDER / "README.md").read_text()
    for flag in service["command"]:
        name = flag.partition("=")[0]
        assert name in told or name == "--model_config_file_poll_wait_seconds"
