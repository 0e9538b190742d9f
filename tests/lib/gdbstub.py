# SPDX-License-Identifier: MIT
"""QEMU's gdb stub, for tests that change the machine's memory behind its back: physical memory, read and written."""
import socket


class GdbStub:
    """A connection to -gdb unix:PATH. The machine stands still from here to the end of the with block."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.stream = self.socket.makefile('rb')

    def __enter__(self):
        # That the machine stops, which it does now, may be reported without being asked for.
        answer = self._command('Qqemu.PhyMemMode:1')
        while answer != 'OK':
            answer = self._answer()
        return self

    def __exit__(self, *_):
        self._command('D')      # and the machine goes on
        self.socket.close()

    def read(self, address, size):
        return bytes.fromhex(self._command(f'm{address:x},{size:x}'))

    def write(self, address, data):
        if self._command(f'M{address:x},{len(data):x}:{data.hex()}') != 'OK':
            raise OSError(f'the machine has no memory at {address:#x}')

    def _command(self, text):
        """Packets are $TEXT#SUM, each acknowledged by +."""
        self.socket.sendall(f'${text}#{sum(text.encode()) & 0xff:02x}'.encode())
        return self._answer()

    def _answer(self):
        while (byte := self.stream.read(1)) != b'$':
            if not byte:
                raise OSError('QEMU closed the connection')
        answer = b''
        while (byte := self.stream.read(1)) != b'#':
            if not byte:
                raise OSError('QEMU closed the connection')
            answer += byte
        self.stream.read(2)
        self.socket.sendall(b'+')
        return answer.decode()
