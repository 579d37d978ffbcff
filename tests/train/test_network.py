"""Which interface has an address."""

import socket

import pytest

from toolkit.train.network import interface_of


def test_the_loopback_address_is_the_loopback_interfaces():
    assert interface_of("127.0.0.1") == "lo"


def test_an_address_of_this_machine_has_an_interface():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; shows the address that would be used
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    assert interface_of(own) in {name for _, name in socket.if_nameindex()}


@pytest.mark.parametrize("address", ["192.0.2.1", "nowhere.invalid", ""])
def test_any_other_has_none(address):
    assert interface_of(address) is None
