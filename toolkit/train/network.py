"""The network interface that has an address, for libraries that want its name."""

import contextlib
import fcntl
import socket
import struct

_SIOCGIFADDR = 0x8915  # ask Linux for an interface's IPv4 address


def interface_of(address: str) -> str | None:
    """Name of this machine's interface with the IPv4 `address`; None if there is none."""
    if address.startswith("127."):
        return "lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has no IPv4 address
                request = struct.pack("256s", name.encode())
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return None
