# SPDX-License-Identifier: MIT
"""A manager (docs/api.md) that answers as the test says and remembers what it was asked."""
import json
import os
import socketserver
import threading


class Refused(Exception):
    """The method fails with this error object."""

    def __init__(self, code, message, errno=5, **more):
        super().__init__(message)
        self.error = {'code': code, 'message': message, 'errno': errno, **more}


class Raw(Exception):
    """Answer with these bytes, and close the connection when they do not end a line."""

    def __init__(self, data):
        super().__init__(data)
        self.data = data


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if not self.answer(json.loads(line)):
                return

    def answer(self, request):
        manager = self.server.manager
        with manager.lock:
            manager.requests.append((request['method'], request.get('params', {})))
        try:
            assert request['version'] == 1
            for text in manager.progress if request.get('progress') else []:
                more = {} if isinstance(text, str) else {'progress': text[0], 'percent': text[1]}
                self.send({'id': request['id'], 'progress': text, **more})
            method = manager.methods[request['method']]
            result = method(request.get('params', {})) if callable(method) else method
            self.send({'id': request['id'], 'result': result})
        except Refused as refused:
            self.send({'id': request['id'], 'error': refused.error})
        except Raw as raw:
            self.wfile.write(raw.data)
            return raw.data.endswith(b'\n')
        return True

    def send(self, answer):
        # In two parts: a line need not come in one piece.
        data = json.dumps(answer).encode() + b'\n'
        self.wfile.write(data[:10])
        self.wfile.flush()
        self.wfile.write(data[10:])


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class FakeManager:
    """methods: name → result, or a function of the parameters that returns it or raises. with FakeManager(path) as m: …"""

    def __init__(self, path):
        self.path = str(path)
        self.methods = {}
        self.progress = []      # texts, or (text, percent)
        self.requests = []      # (method, params)
        self.lock = threading.Lock()

    def __enter__(self):
        self.server = Server(self.path, Handler)
        self.server.manager = self
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.path)
