"""An app that is copied, or put to sleep, while it runs.

/tmp/ticks  a line of JSON for every tick: its number, both clocks, what was drawn at random
/tmp/loop   a dot for every byte that went to and fro over loopback
/tmp/cut    how each connection to port 8000 ended
"""

import json
import os
import secrets
import socket
import threading
import time
import uuid

INTERVAL = 0.05


def tick():
    due = time.monotonic()
    number = 0
    with open("/tmp/ticks", "a", buffering=1) as out:
        while True:
            drawn = [secrets.token_hex(16), str(uuid.uuid4()), os.urandom(16).hex()]
            clocks = {"wall": time.time(), "monotonic": time.monotonic()}
            out.write(json.dumps({"number": number, "drawn": drawn, **clocks}) + "\n")
            number += 1
            # Catches up: if time had leapt, the ticks would come in a burst.
            due += INTERVAL
            time.sleep(max(0, due - time.monotonic()))


def echo(connection):
    try:
        while data := connection.recv(100):
            connection.sendall(data)
        ending = "closed"
    except OSError as error:
        ending = type(error).__name__
    with open("/tmp/cut", "a") as out:
        out.write(ending + "\n")


def serve():
    listener = socket.create_server(("0.0.0.0", 8000))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,)).start()


def to_and_fro():
    near = socket.create_connection(("127.0.0.1", 8000))
    with open("/tmp/loop", "a", buffering=1) as out:
        while True:
            near.sendall(b"x")
            if near.recv(1) != b"x":
                break
            out.write(".\n")
            time.sleep(INTERVAL)


threading.Thread(target=serve).start()
time.sleep(0.5)
threading.Thread(target=to_and_fro).start()
tick()
