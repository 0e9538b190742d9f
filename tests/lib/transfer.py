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


class Sender(contextlib.AbstractContextManager):
    """Sends the same to everyone who connects, one after the other."""

    def __init__(self, payload):
        self.payload = payload
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):      # closed
            while True:
                connection, _ = self.socket.accept()
                # Who goes away early has seen less than he should, and says so.
                with connection, contextlib.suppress(ConnectionError):
                    connection.sendall(self.payload)
                    connection.shutdown(socket.SHUT_WR)


def receive_all(connection):
    data = bytearray()
    while chunk := connection.recv(65536):
        data += chunk
    return bytes(data)


def sha256(data):
    return hashlib.sha256(data).hexdigest()
