// Says nothing on a WebSocket, and 40 bytes now and then on a stream of events.
const http = require('http');
const crypto = require('crypto');
const server = http.createServer((request, response) => {
  if (request.url !== '/events') return response.end(String(process.pid));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  setInterval(() => response.write('data: ' + '.'.repeat(32) + '\n\n'), 3000);
});
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
});
server.listen(3000);
