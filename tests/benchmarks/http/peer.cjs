// node peer.cjs http|core|express DIRECTORY_OF_MODULES: POST /payments on Node, bare, with @node-idempotency/core over
// its memory storage, or with express-idempotency over its own. Prints its port.
const [kind, modules] = process.argv.slice(2);
const need = (name) => require(require.resolve(name, { paths: [modules] }));
const receipt = JSON.stringify({
  id: 'ch_1', object: 'charge', amount: 450, currency: 'eur', status: 'succeeded', description: 'x'.repeat(110),
});
const listening = function () { console.log(this.address().port); };

function bodyOf(request) {
  return new Promise((resolve) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (part) => { body += part; });
    request.on('end', () => resolve(body));
  });
}
const send = (response, status, body) => {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
};

if (kind === 'express') {
  const express = need('express');
  const idempotency = need('express-idempotency');
  const app = express();
  app.disable('x-powered-by');
  app.use(express.json());
  app.use(idempotency.idempotency());
  app.post('/payments', (request, response) => {
    if (idempotency.getSharedIdempotencyService().isHit(request)) return;
    response.type('application/json').send(receipt);
  });
  app.listen(0, '127.0.0.1', listening);
} else {
  const http = require('node:http');
  let idempotency = null;
  if (kind === 'core') {
    const { Idempotency } = need('@node-idempotency/core');
    const { MemoryStorageAdapter } = need('@node-idempotency/storage-adapter-memory');
    idempotency = new Idempotency(new MemoryStorageAdapter(), {});
  }
  http.createServer(async (request, response) => {
    const body = await bodyOf(request);
    if (!idempotency) return send(response, 200, receipt);
    const asked = { method: request.method, path: request.url, headers: request.headers, body: JSON.parse(body) };
    try {
      const known = await idempotency.onRequest(asked);
      if (known) return send(response, known.additional.statusCode, known.body);
      await idempotency.onResponse(asked, { body: receipt, additional: { statusCode: 200 } });
      send(response, 200, receipt);
    } catch (error) {
      send(response, 409, JSON.stringify({ error: error.code }));
    }
  }).listen(0, '127.0.0.1', listening);
}
