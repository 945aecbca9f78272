// What the scenarios run against: the gateway, a bank's line before it that can be held at will, the payment server,
// and a browser. All end with this process.

import {spawn} from 'node:child_process';
import {createServer, request} from 'node:http';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {once} from 'node:events';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {tmpdir} from 'node:os';

/// A program that says where it listens. `setpriv` has it killed when this process is.
export class Program {
  constructor(command, environment = {}) {
    this.process = spawn('setpriv', ['--pdeathsig', 'KILL', ...command],
                         {stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, ...environment}});
    this.ended = once(this.process, 'exit');
    this.log = '';
    this.url = new Promise((resolve, reject) => {
      const read = text => {
        this.log += text;
        const found = /listening on (http:\/\/\S+)/.exec(this.log);
        if (found) resolve(found[1]);
      };
      this.process.stdout.setEncoding('utf8').on('data', read);
      this.process.stderr.setEncoding('utf8').on('data', text => { this.log += text; });
      this.process.on('error', reject);
      this.ended.then(() => reject(new Error(`${command[0]} ended:\n${this.log}`)));
    });
    this.url.catch(() => {});
  }
  async kill(signal = 'SIGKILL') {
    this.process.kill(signal);
    await this.ended;
  }
}

/// Between the payment server and the gateway. The next request to pay can be held: before the gateway has it, or after
/// it was carried out and before its answer is passed on. Webhooks go the other way, to `shop`.
export class Line {
  constructor(gateway) {
    this.gateway = new URL(gateway);
    this.holds = [];
    this.asked = 0;
    this.server = createServer((from, to) => this.pass(from, to).catch(() => to.destroy()));
  }
  async listen() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${this.server.address().port}`;
  }
  hold(when) {
    const held = {when};
    held.here = new Promise(resolve => { held.arrive = resolve; });
    held.free = new Promise(resolve => { held.release = resolve; });
    this.holds.push(held);
    return held;
  }
  async pass(from, to) {
    const parts = [];
    for await (const part of from) parts.push(part);
    if (from.url.startsWith('/webhooks/')) {
      const answer = await this.forward(from, Buffer.concat(parts), new URL(this.shop));
      if (!answer) return to.destroy();
      to.writeHead(answer.status, answer.headers);
      return to.end(answer.body);
    }
    const paying = from.method === 'POST';
    if (paying) ++this.asked;
    const held = paying ? this.holds.shift() : undefined;
    if (held?.when === 'before') { held.arrive(); await held.free; }
    const answer = await this.forward(from, Buffer.concat(parts));
    if (held?.when === 'after') { held.arrive(); await held.free; }
    if (!answer) return to.destroy();
    to.writeHead(answer.status, answer.headers);
    to.end(answer.body);
  }
  forward(from, body, to = this.gateway) {
    return new Promise(resolve => {
      const passed = request({host: to.hostname, port: to.port, method: from.method,
                              path: from.url, headers: from.headers, agent: false}, async answer => {
        const parts = [];
        try {
          for await (const part of answer) parts.push(part);
          resolve({status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts)});
        } catch { resolve(undefined); }
      });
      passed.on('error', () => resolve(undefined));  // it hung up without an answer
      passed.end(body);
    });
  }
}

export class World {
  constructor(options) {
    this.options = options;
    this.directory = mkdtempSync(join(tmpdir(), 'paidonce-browser-'));
    this.ledger = join(this.directory, 'ledger.jsonl');
    const modules = createRequire(join(options.modules, 'package.json'));
    this.chromium = modules('playwright-core').chromium;
    this.axe = readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');
    this.secret = 'whsec_of_the_browser_tests';
  }
  async begin() {
    this.line = new Line('http://127.0.0.1');  // to a gateway that needs to know the line before it begins
    this.lineUrl = await this.line.listen();
    this.gateway = new Program([this.options.gateway, '--ledger', this.ledger, '--delay-ms', '1500',
                                '--webhook', `${this.lineUrl}/webhooks/gateway`, '--webhook-pause-ms', '100'],
                               {GATEWAY_WEBHOOK_SECRET: this.secret});
    this.line.gateway = new URL(await this.gateway.url);
    await this.startServer(0);
    this.browser = await this.chromium.launch({
      executablePath: this.options.chromium, handleSIGTERM: false, handleSIGINT: false, handleSIGHUP: false,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
             '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']});
  }
  async startServer(port) {
    this.server = new Program([this.options.server, '--port', String(port), '--gateway', this.lineUrl, '--store',
                               `file:${join(this.directory, 'payments.store')}`],
                              {PAIDONCE_WEBHOOK_SECRET: this.secret});
    this.url = this.line.shop = await this.server.url;
  }
  /// As a power cut would: and begins again at the same port, over the same store.
  async killServer() { await this.server.kill('SIGKILL'); }
  async restartServer() { await this.startServer(Number(new URL(this.url).port)); }

  /// Charges of an order, as the gateway wrote them down; one that ends later is written down again when it has ended.
  charges(order) {
    const known = new Map();
    for (const line of readFileSync(this.ledger, 'utf8').split('\n').filter(line => line !== '')) {
      const {charge} = JSON.parse(line);
      if (charge?.metadata.order === order) known.set(charge.id, charge);
    }
    return [...known.values()];
  }
  async end() {
    await this.browser?.close();
    await this.server?.kill().catch(() => {});
    await this.gateway?.kill().catch(() => {});
    this.line?.server.close();
    this.line?.server.closeAllConnections();
    rmSync(this.directory, {recursive: true, force: true});
  }
}
