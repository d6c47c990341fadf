"""A name server in a process of its own, by the standard library alone: NAME=ADDRESS words are all it knows."""

from __future__ import annotations

import socket
import sys
import threading

KINDS = {1: socket.AF_INET, 28: socket.AF_INET6}
"""A and AAAA (RFC 1035, RFC 3596)."""


def answer(question: bytes, known: dict[str, list[str]]) -> bytes:
    end = question.index(0, 12) + 5
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    kind = int.from_bytes(question[end - 4 : end - 2])
    family = KINDS.get(kind)
    found = []
    for address in known.get(".".join(labels), []):
        if family is not None and (":" in address) == (family == socket.AF_INET6):
            data = socket.inet_pton(family, address)
            found.append(b"\xc0\x0c" + kind.to_bytes(2) + b"\0\1\0\0\0\1" + len(data).to_bytes(2) + data)
    head = question[:2] + (b"\x81\x80" if ".".join(labels) in known else b"\x81\x83")
    return head + b"\0\1" + len(found).to_bytes(2) + b"\0\0\0\0" + question[12:end] + b"".join(found)


def over_tcp(listener: socket.socket, known: dict[str, list[str]]) -> None:
    while True:
        client, _ = listener.accept()
        with client:
            said = answer(client.recv(4096)[2:], known)
            client.sendall(len(said).to_bytes(2) + said)


def main(address: str, *pairs: str) -> None:
    known: dict[str, list[str]] = {}
    for name, _, found in (pair.partition("=") for pair in pairs):
        known.setdefault(name, []).append(found)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, socket.create_server((address, 53)) as listener:
        asked.bind((address, 53))
        threading.Thread(target=over_tcp, args=(listener, known), daemon=True).start()
        print("ready", flush=True)
        while True:
            question, asker = asked.recvfrom(4096)
            asked.sendto(answer(question, known), asker)


if __name__ == "__main__":
    main(*sys.argv[1:])
