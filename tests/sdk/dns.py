"""A small name server on loopback, with the records that a test gives it."""

import socket
import struct
import threading

TYPES = {"CNAME": 5, "TXT": 16}


class NameServer:
    """Answers over UDP until it is closed."""

    def __init__(self, port):
        self.records = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", port))
        self.socket.settimeout(0.2)
        self.open = True
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def set(self, record):
        """Adds a record in the form in which the API tells it."""
        self.records[record["name"], TYPES[record["type"]]] = record["value"]

    def close(self):
        self.open = False
        self.thread.join()
        self.socket.close()

    def serve(self):
        while self.open:
            try:
                question, client = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            self.socket.sendto(self.answer(question), client)

    def answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind, = struct.unpack(">H", question[at + 1:at + 3])
        value = self.records.get((".".join(labels), kind))
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, value is not None, 0, 0) + question[12:at + 5]
        if value is None:
            return head
        parts = value.split(".") if kind == TYPES["CNAME"] else [value]
        data = b"".join(bytes([len(part)]) + part.encode() for part in parts)
        data += b"\0" if kind == TYPES["CNAME"] else b""
        return head + b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
