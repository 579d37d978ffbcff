"""Who can ask a server: this machine alone, or others too."""

from ipaddress import ip_address


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this machine alone."""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
