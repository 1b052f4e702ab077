#!/usr/bin/env python3
"""record_requests.py URL FILE NAME: a proxy that writes down what a client asks of a server.

It stands before the server at URL, prints its own URL, and when it is ended by SIGTERM writes every
request and the key facts of its answer into FILE, for test_apiserver_replay.c. NAME says who asked.

A record is

    > METHOD PATH
    Header: value
    BODY-SIZE
    the body's bytes, and a newline
    < CODE
    fact value

What the server made up (uid, resourceVersion, addresses, ports, times, names) stands in later
requests as {{N:PATH}}: the text at PATH in the answer to request N, from 0. Repeated questions about
versions, kinds and schemas are left out, and so are headers that no answer depends on.
"""

import http.client
import http.server
import json
import os
import re
import signal
import sys
import threading
import urllib.parse

KEPT_HEADERS = ("Accept", "Content-Type")
MADE_UP = ("uid", "resourceVersion", "clusterIP", "creationTimestamp", "deletionTimestamp", "ip",
           "continue")
PORTS = ("nodePort", "healthCheckNodePort")


def walk(value, path=""):
    """Every leaf with its path."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from walk(member, path + "." + name if path else name)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from walk(element, "%s.%d" % (path, index))
    else:
        yield path, value


class Recording:
    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()
        self.records = []  # [request text parts..., facts] or None while it runs
        self.places = {}  # what the server made up: where it stands
        self.asked = set()

    def begin(self, method, path, headers, body):
        """Returns the record, or None for one that is left out."""
        with self.lock:
            if method == "GET" and not path.startswith("/api/v1/"):
                question = (path.split("?")[0], headers.get("Accept"))
                if question in self.asked:
                    return None
                self.asked.add(question)
            head = ["%s %s" % (method, self.hide(path))]
            for name in KEPT_HEADERS:
                if headers.get(name):
                    head.append("%s: %s" % (name, headers[name]))
            if b"\0" not in body:
                body = self.hide(body.decode()).encode()
            record = {"number": len(self.records), "head": head, "body": body, "facts": None}
            self.records.append(record)
            return record

    def end(self, record, code, body):
        """An answer: its facts, and what the server made up in it."""
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        with self.lock:
            record["facts"] = ["< %d" % code] + list(self.facts(answer))
            for path, value in walk(answer):
                self.learn(record["number"], path, value)

    def learn(self, number, path, value):
        parts = path.split(".")
        made_up = parts[-1] in MADE_UP or parts[-2:-1] == ["clusterIPs"]
        if made_up and isinstance(value, str) and len(value) > 6:
            self.places.setdefault(value, "{{%d:%s}}" % (number, path))
        if parts[-1] in PORTS:
            self.places.setdefault(value, "{{%d:%s}}" % (number, path))
        if path == "metadata.name" and re.search("^made-.{5}$", str(value)):
            self.places.setdefault(value, "{{%d:%s}}" % (number, path))

    def hide(self, text):
        for value, place in self.places.items():
            if isinstance(value, int):
                text = re.sub(r'([pP]ort"?: ?)%d\b' % value, lambda found: found[1] + place, text)
            else:
                quoted = urllib.parse.quote(value, safe="")
                text = text.replace(value, place).replace(quoted, place)
        return text

    def facts(self, answer):
        if not isinstance(answer, dict):
            return
        for path in ("kind", "reason", "metadata.name", "spec.type", "spec.ports.0.port",
                     "spec.selector.app", "metadata.labels.app"):
            value = answer
            for part in path.split("."):
                if isinstance(value, list):
                    value = value[int(part)] if int(part) < len(value) else None
                else:
                    value = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, (str, int)) and not re.search("^made-", str(value)):
                yield "%s %s" % (path, value)
        for name in ("items", "rows"):
            if isinstance(answer.get(name), list):
                yield "%s %d" % (name, len(answer[name]))
        message = answer.get("message")
        if message and "\n" not in message and self.hide(message) == message:
            yield "message %s" % message

    def write(self, path):
        with open(path, "wb") as out:
            out.write(("# What %s asked; see record_requests.py.\n" % self.name).encode())
            for record in self.records:
                out.write(("> " + "\n".join(record["head"]) + "\n").encode())
                out.write(b"%d\n" % len(record["body"]) + record["body"] + b"\n")
                out.write(("\n".join(record["facts"] or ["< 200"]) + "\n").encode())


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        record = self.server.recording.begin(self.command, self.path, self.headers, body)
        upstream = http.client.HTTPConnection(self.server.upstream)
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name not in ("Transfer-Encoding", "Content-Length", "Connection", "Date"):
                self.send_header(name, value)
        if "watch=true" in self.path and answer.status == 200:
            self.stream(answer)
        else:
            content = answer.read()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            if record:
                self.server.recording.end(record, answer.status, content)
        upstream.close()

    def stream(self, answer):
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while part := answer.read1(65536):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward


def main(url, path, name):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    server.upstream = urllib.parse.urlsplit(url).netloc
    server.recording = Recording(name)

    def end(*_):
        server.recording.write(path)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    print("http://127.0.0.1:%d" % server.server_address[1], flush=True)
    server.serve_forever()


main(*sys.argv[1:])
