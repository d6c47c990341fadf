"""Run as a script of its own: makes a network namespace whose only way out is Ledger, then becomes the command.

Nothing is made outside it: no interface, no rule, no name. It has no link to any network, only loopback, where
listening sockets wait that belong to the sidecar; the namespace ends with its last process. Standard library alone.

The other end of the socket pair is in `enclosing`: routes come in, the sockets go out, the command comes in.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

NOT_EXECUTABLE = 126
ADDRESSES = ("192.0.0.8/32", "fd6c:6564:6765::1/128")
"""What connections come from inside: the dummy address (RFC 7600), and one of ours (RFC 4193). No one sees them."""
RULES = """
table inet ledger {{
  chain through_ledger {{
    type nat hook output priority -100
    udp dport 53 redirect to :{names}
    tcp dport 53 redirect to :{streams}
    fib daddr type local accept
    meta l4proto tcp redirect to :{streams}
  }}
  chain nothing_else {{
    type filter hook output priority 0
    fib daddr type local accept
    reject with icmpx type admin-prohibited
  }}
}}
"""
"""Connections go to the sidecar, which can tell where they were going; the rest, QUIC too, is refused at once."""


def main(control: socket.socket) -> None:
    """Talk to the sidecar over `control`; returns only if something failed, which the other end was told."""
    try:
        routes = _read(control)["routes"]
        mine = _separate()
        _tool("ip", "-batch", "-", script=_links(routes))
        sockets = _listen()
        ports = {"streams": sockets[0].getsockname()[1], "names": sockets[1].getsockname()[1]}
        _tool("nft", "-f", "-", script=RULES.format(**ports))
        if mine is not None:
            _map(*mine)
        socket.send_fds(control, [b"{}\n"], [one.fileno() for one in sockets])
        for one in sockets:
            one.close()
        told = _read(control)
        if told:
            _become(told["command"], told["env"])
    except OSError as error:
        said = {"errno": error.errno, "error": error.strerror or str(error), "file": error.filename}
        control.sendall(json.dumps(said).encode() + b"\n")


def _separate() -> tuple[int, int] | None:
    """Enter a network namespace; without the privilege, in a user namespace, whose ids are then to be put right."""
    try:
        os.unshare(os.CLONE_NEWNET)
    except PermissionError:
        ids = os.getuid(), os.getgid()
        try:
            os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"0 {ids[0]} 1")
            _write("/proc/self/gid_map", f"0 {ids[1]} 1")
        except OSError as error:
            raise OSError(
                error.errno, f"this kernel lets only root make a network namespace ({error.strerror})"
            ) from None
        return ids
    return None


def _map(uid: int, gid: int) -> None:
    """Be who we were again, in a namespace below: without any power over the network that was just made."""
    os.unshare(os.CLONE_NEWUSER)
    _write("/proc/self/uid_map", f"{uid} 0 1")
    _write("/proc/self/gid_map", f"{gid} 0 1")


def _listen() -> list[socket.socket]:
    """For connections, then for names, then the same for IPv6 where there is such a thing, on the same ports."""
    made = [_bound(kind, "127.0.0.1", 0) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
    return made + [_bound(one.type, "::1", one.getsockname()[1]) for one in made if _ipv6()]


def _bound(kind: int, address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.bind((address, port))
    if kind == socket.SOCK_STREAM:
        made.listen(256)
    return made


def _links(routes: Sequence[str]) -> str:
    lines = ["link set lo up"]
    lines += [f"address add {one} dev lo" for one in ADDRESSES if ":" not in one or _ipv6()]
    return "\n".join([*lines, *(f"route add {one} dev lo" for one in routes if ":" not in one or _ipv6()), ""])


def _ipv6() -> bool:
    return os.path.exists("/proc/net/if_inet6")


def _tool(name: str, *words: str, script: str) -> None:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        package = {"ip": "iproute2", "nft": "nftables"}[name]
        raise OSError(None, f"`{name}` is not installed; install {package}")
    ran = subprocess.run([found, *words], input=script, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if ran.returncode:
        why = (ran.stderr.strip() or f"exit code {ran.returncode}").splitlines()[0]
        raise OSError(None, f"`{name}` cannot set up a network namespace here ({why})")


def _become(command: Sequence[str], env: Mapping[str, str]) -> None:
    # What Python ignores for itself, no command expects to be ignored.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], list(command), env)  # noqa: S606 - what the user asked for


def _read(control: socket.socket) -> Any:
    """One line of JSON; None if the sidecar is gone."""
    with control.makefile("rb") as lines:
        line = lines.readline()
    return json.loads(line) if line else None


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C ends it as it would end the command, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    with socket.socket(fileno=int(sys.argv[1])) as to_sidecar:
        to_sidecar.set_inheritable(False)
        main(to_sidecar)
    sys.exit(NOT_EXECUTABLE)
