# SPDX-License-Identifier: MIT
"""The host's end of connections from a machine through QEMU's user network."""
import contextlib
import hashlib
import socket
import threading

from harness import check

HOST = '10.0.2.2'       # our side, as QEMU's user network shows it


class Server(contextlib.AbstractContextManager):
    """Accepts one connection; sends what it was given, or keeps what it receives."""

    def __init__(self, payload=None):
        self.payload = payload
        self.received = None
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self):
        connection, _ = self.socket.accept()
        with connection:
            if self.payload is not None:
                connection.sendall(self.payload)
                connection.shutdown(socket.SHUT_WR)
            else:
                self.received = receive_all(connection)

    def wait(self):
        self.thread.join(60)
        check(not self.thread.is_alive(), 'the transfer did not end')


def receive_all(connection):
    data = bytearray()
    while chunk := connection.recv(65536):
        data += chunk
    return bytes(data)


def sha256(data):
    return hashlib.sha256(data).hexdigest()
