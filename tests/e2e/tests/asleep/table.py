"""A server with a table in memory and the same on its disk."""
import http.server
import os
import socketserver
import threading
import zlib

SIZE = 100 << 20
table = bytearray(bytes(range(256)) * (SIZE // 256))
disk = os.open("/root/table", os.O_RDWR | os.O_CREAT)
os.pwrite(disk, table, 0)
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, text):
        body = str(text).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/sums":
            with lock:
                on_disk = 1
                for at in range(0, SIZE, 1 << 20):
                    on_disk = zlib.adler32(os.pread(disk, 1 << 20, at), on_disk)
                return self.answer(f"{zlib.adler32(table)} {on_disk}")
        self.answer(os.getpid())

    def do_PUT(self):
        """Changes one byte, in memory and on the disk."""
        at, value = map(int, self.path[1:].split("/"))
        with lock:
            table[at] = value
            os.pwrite(disk, bytes([value]), at)
        self.answer(table[at])

    def do_POST(self):
        self.answer(zlib.adler32(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256


Server(("127.0.0.1", 8000), Handler).serve_forever()
