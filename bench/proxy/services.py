#!/usr/bin/env python3
"""services.py fill URL COUNT | measure URL COUNT NAME | kubectl URL COUNT NAME: Services, as clients make them.

fill makes COUNT Services that select app=web, eight at a time. measure makes COUNT more, one after the
other, and asks each virtual IP again and again from the moment its creation is answered; it prints a
line of milliseconds each: until the answer of the API server, and until the first answer of a Pod, both
from the request's begin. kubectl does the same with `kubectl create`, from its start.
"""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

PATH = "/api/v1/namespaces/default/services"


def body(name):
    return json.dumps({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})


def create(connection, name):
    connection.request("POST", PATH, body(name), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 201:
        sys.exit("%s: %d %s" % (name, answer.status, text.decode()))
    return json.loads(text)["spec"]["clusterIP"]


def create_by_kubectl(connection, url, name):
    subprocess.run(["kubectl", "--server=" + url, "create", "--validate=false", "-f", "-"], check=True,
                   input=body(name).encode(), stdout=subprocess.DEVNULL)
    connection.request("GET", PATH + "/" + name)
    return json.loads(connection.getresponse().read())["spec"]["clusterIP"]


def connect(url):
    place = urllib.parse.urlsplit(url)
    return http.client.HTTPConnection(place.hostname, place.port, timeout=30)


def fill(url, count):
    def some(part):
        connection = connect(url)
        for number in range(part, count, 8):
            create(connection, "fill-%d" % number)
    threads = [threading.Thread(target=some, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def answers(address):
    """Whether a Pod answers there, decided within 5 ms."""
    with socket.socket() as client:
        client.settimeout(0.005)
        try:
            client.connect((address, 80))
            client.settimeout(2)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.recv(16).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def measure(url, count, name, by_kubectl):
    connection = connect(url)
    for number in range(count):
        begun = time.monotonic()
        if by_kubectl:
            address = create_by_kubectl(connection, url, "%s-%d" % (name, number))
        else:
            address = create(connection, "%s-%d" % (name, number))
        created = time.monotonic()
        while not answers(address):
            if time.monotonic() - begun > 30:
                sys.exit("%s-%d: no answer in 30 s at %s" % (name, number, address))
            time.sleep(0.001)
        answered = time.monotonic()
        print("%.2f %.2f" % ((created - begun) * 1000, (answered - begun) * 1000))
        time.sleep(0.02)


if sys.argv[1] == "fill":
    fill(sys.argv[2], int(sys.argv[3]))
else:
    measure(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[1] == "kubectl")
