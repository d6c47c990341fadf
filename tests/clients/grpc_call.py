"""A real gRPC server and client of raw bytes. `server CERT KEY FILE` notes each call; `client PORT CA` makes one."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

METHOD = "/shop.Orders/Create"


def server(cert: str, key: str, file: str) -> None:
    def create(request: bytes, context: grpc.ServicerContext) -> bytes:
        with open(file, "ab") as noted:
            noted.write(request + b"\n")
        context.set_trailing_metadata((("order", "42"),))
        return b"created " + request

    handlers = {"Create": grpc.unary_unary_rpc_method_handler(create)}
    made = grpc.server(ThreadPoolExecutor(2))
    made.add_registered_method_handlers("shop.Orders", handlers)
    secret = grpc.ssl_server_credentials([(Path(key).read_bytes(), Path(cert).read_bytes())])
    print(f"listening on {made.add_secure_port('127.0.0.1:0', secret)}", flush=True)
    made.start()
    made.wait_for_termination()


def client(port: str, ca: str) -> None:
    with grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(Path(ca).read_bytes())) as channel:
        try:
            answer, call = channel.unary_unary(METHOD).with_call(b"order-42", timeout=20)
            print(answer.decode(), dict(call.trailing_metadata()))
        except grpc.RpcError as error:
            print(error.code().name)


if __name__ == "__main__":
    {"server": server, "client": client}[sys.argv[1]](*sys.argv[2:])
