// The interpreter's end of a JavaScript session: see python.py for what is said.
//
// Cells are evaluated as a debugger's console does it: names may be declared
// again, `await` may stand anywhere, and the last value is the result.
'use strict';

const fs = require('node:fs');
const inspector = require('node:inspector');
const { createRequire } = require('node:module');
const net = require('node:net');
const path = require('node:path');
const util = require('node:util');

const MAX_TEXT = 64 * 1024;
const fd = Number(process.env.PANDO_REPL_FD);
delete process.env.PANDO_REPL_FD;

let seq = 0;
let interrupted = null;

const channel = new net.Socket({ fd, readable: true, writable: true });
channel.on('close', () => process.exit(0));
channel.on('error', () => process.exit(0));
const say = (message) => channel.write(JSON.stringify({ seq, ...message }) + '\n');

function plain(value) {
  const text = typeof value === 'string' ? `'${value}'` : util.inspect(value);
  return text.length <= MAX_TEXT ? text : text.slice(0, MAX_TEXT) + '…';
}

/** What a value shows: a string as itself, more where it has a method for it. */
function bundle(value) {
  const shown = { 'text/plain': plain(value) };
  if (value && typeof value.toHTML === 'function') shown['text/html'] = String(value.toHTML());
  if (Buffer.isBuffer(value) && value.readUInt32BE && value.length > 8 && value.readUInt32BE(0) === 0x89504e47) {
    shown['image/png'] = value.toString('base64');
  } else if (value && typeof value === 'object') {
    try {
      const json = JSON.stringify(value);
      if (json && json.length <= MAX_TEXT) shown['application/json'] = json;
    } catch {
      // What has no JSON is shown as text.
    }
  }
  return shown;
}

const display = (...values) => values.forEach((value) => say({ result: bundle(value) }));

const session = new inspector.Session();
session.connect();
const ask = util.promisify(session.post.bind(session));

let kept;
globalThis[Symbol.for('pando.keep')] = (value) => { kept = value; };

/** The value behind the debugger's handle. */
async function valueOf(remote) {
  if (!remote.objectId) {
    if (remote.unserializableValue) return (0, eval)(remote.unserializableValue);
    return remote.value;
  }
  await ask('Runtime.callFunctionOn', {
    objectId: remote.objectId,
    functionDeclaration: "function () { 'use strict'; globalThis[Symbol.for('pando.keep')](this); }",
  });
  const value = kept;
  kept = undefined;
  return value;
}

/** An error with its stack, without the frames below the cell's. */
function described(value) {
  if (!value || typeof value.stack !== 'string') return `Uncaught ${util.inspect(value)}`;
  const lines = value.stack.split('\n');
  const below = lines.findIndex((line) => line.includes('(node:inspector:'));
  return lines.slice(0, below < 0 ? lines.length : below).join('\n');
}

async function run(code) {
  const ended = new Promise((resolve) => { interrupted = () => resolve({ interrupted: true }); });
  const evaluated = ask('Runtime.evaluate', {
    expression: code, replMode: true, awaitPromise: true, userGesture: true,
  });
  const answer = await Promise.race([evaluated, ended]);
  interrupted = null;
  if (answer.interrupted) return { exit: 1, error: 'Interrupted' };
  if (answer.exceptionDetails) {
    return { exit: 1, error: described(await valueOf(answer.exceptionDetails.exception || {})) };
  }
  const value = await valueOf(answer.result);
  if (value !== undefined) display(value);
  return { exit: 0, error: null };
}

process.on('SIGINT', () => interrupted && interrupted());
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error) => console.error(error));
}
Object.assign(globalThis, {
  require: createRequire(path.join(process.cwd(), 'cell.js')),
  display,
});

/** Output has reached the agent's pipe before the cell is said to be done. */
const flushed = (stream) => new Promise((resolve) => stream.write('', resolve));

let waiting = Buffer.alloc(0);
let busy = false;
async function next() {
  if (busy) return;
  const end = waiting.indexOf(10);
  if (end < 0) return;
  const [number, bytes] = waiting.subarray(0, end).toString().split(' ').map(Number);
  if (waiting.length < end + 1 + bytes) return;
  const code = waiting.subarray(end + 1, end + 1 + bytes).toString();
  waiting = waiting.subarray(end + 1 + bytes);
  busy = true;
  seq = number;
  let done;
  try {
    done = await run(code);
  } catch (error) {
    done = { exit: 1, error: String((error && error.stack) || error) };
  }
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  say({ done });
  busy = false;
  next();
}
channel.on('data', (piece) => {
  waiting = Buffer.concat([waiting, piece]);
  next();
});
say({ ready: true });
