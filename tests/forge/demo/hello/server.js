import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import path from 'node:path';
import mime from 'mime';

const root = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const port = Number(process.env.PORT ?? 3000);
const started = Date.now();

const escape = (text) => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

async function page() {
  const message = escape((await readFile(path.join(root, 'message.txt'), 'utf8')).trim());
  const seconds = Math.round((Date.now() - started) / 1000);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hello</title>
<link rel="icon" href="/leaf.svg">
<link rel="stylesheet" href="/style.css">
<main>
  <img src="/leaf.svg" alt="">
  <h1>${message}</h1>
  <dl>
    <dt>machine</dt><dd>${escape(hostname())}</dd>
    <dt>node</dt><dd>${process.version}</dd>
    <dt>running</dt><dd>${seconds} s</dd>
  </dl>
</main>
</html>
`;
}

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  if (pathname === '/') {
    response.writeHead(200, { 'content-type': mime.getType('html') }).end(await page());
    return;
  }
  const name = path.basename(pathname);
  try {
    const bytes = await readFile(path.join(root, 'public', name));
    const type = mime.getType(name) ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type }).end(bytes);
  } catch {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
  }
});

server.listen(port, () => console.log(`listening on ${port}`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
