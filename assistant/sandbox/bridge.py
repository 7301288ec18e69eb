"""Opens a listening socket in the network of a command and hands it to the server: the only thing in there that leads out.

Started as a program of its own (`python -I -S bridge.py PID PORT FD`), because a process that has threads can't enter a user namespace; it imports
nothing of ours. FD: a Unix socket, over which the listening one goes back.
"""

import ctypes
import fcntl
import os
import socket
import sys

_OWNER_OF = 0xB701
"""NS_GET_USERNS: the user namespace that a network belongs to."""
_USER, _NETWORK = 0x10000000, 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _enter(namespace: int, kind: int) -> None:
    """Raises OSError where this user may not."""
    if _LIBC.setns(namespace, kind) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def main() -> None:
    """Enter as the owner of the command's user namespace; root may as it is."""
    pid, port, back = map(int, sys.argv[1:])

    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if os.geteuid() != 0:
        _enter(fcntl.ioctl(network, _OWNER_OF), _USER)
    _enter(network, _NETWORK)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("0.0.0.0", port))  # noqa: S104 - of a network that has loopback alone
    listening.listen(64)
    socket.send_fds(socket.socket(fileno=back), [b"!"], [listening.fileno()])


if __name__ == "__main__":
    main()
