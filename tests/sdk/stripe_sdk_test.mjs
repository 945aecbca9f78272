// Stripe's own SDK, as its users install it, at a payment server: told where that is, and nothing else. Each test ends
// with what the gateway's ledger says.

import assert from 'node:assert/strict';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import net from 'node:net';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, describe, test} from 'node:test';
import {Line, Program} from '../browser/world.mjs';

const {STRIPE_SDK, PAYMENT_SERVER, GATEWAY} = process.env;
const Stripe = createRequire(join(STRIPE_SDK, 'package.json'))('stripe');

/// Between the SDK and the payment server: a network that loses what it is told to lose, in that order. `request`: before
/// the server has it. `reply`: all of the reply. `half`: the end of it.
class Lossy {
  constructor(url) {
    this.to = Number(new URL(url).port);
    this.lose = [];
    this.requests = [];
    this.sockets = new Set();
    this.server = net.createServer(client => this.pass(client));
  }
  async listen() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = this.server.address().port;
    return this;
  }
  pass(client) {
    const server = net.connect(this.to, '127.0.0.1');
    const cut = () => { client.destroy(); server.destroy(); };
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on('error', cut).on('close', () => { this.sockets.delete(socket); cut(); });
    }
    client.on('data', bytes => {
      const text = bytes.toString('latin1');
      if (/^(GET|POST) /.test(text)) this.requests.push(text);
      if (this.lose[0] === 'request') { this.lose.shift(); return cut(); }
      server.write(bytes);
    });
    server.on('data', bytes => {
      const lost = this.lose[0] === 'request' ? undefined : this.lose.shift();
      if (lost === undefined) return client.write(bytes);
      if (lost === 'half') client.write(bytes.subarray(0, bytes.length - 100), cut);
      else cut();
    });
  }
  /// Of all requests to pay, in order.
  keys() {
    return this.requests.filter(request => request.startsWith('POST ')).map(request => /idempotency-key: (.*)\r/i.exec(request)?.[1]);
  }
  end() {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

class World {
  static async make() {
    const world = new World();
    world.directory = mkdtempSync(join(tmpdir(), 'paidonce-sdk-'));
    world.ledger = join(world.directory, 'ledger.jsonl');
    world.gateway = new Program([GATEWAY, '--ledger', world.ledger, '--delay-ms', '700']);
    world.line = new Line(await world.gateway.url);
    world.lineUrl = await world.line.listen();
    await world.startServer(0);
    return world;
  }
  async startServer(port) {
    this.server = new Program(
        [PAYMENT_SERVER, '--port', String(port), '--gateway', this.lineUrl, '--tenant', 'shop', '--tenant', 'other', '--tenant', 'lister',
         '--store', `file:${join(this.directory, 'payments.store')}`],
        {PAYMENT_SERVER_KEY_SHOP: 'sk_test_shop', PAYMENT_SERVER_KEY_OTHER: 'sk_test_other',
         PAYMENT_SERVER_KEY_LISTER: 'sk_test_lister'});
    this.url = await this.server.url;
  }
  /// As a user of the SDK makes it.
  stripe(options = {}, key = 'sk_test_shop') {
    return new Stripe(key, {protocol: 'http', host: '127.0.0.1', port: Number(new URL(this.url).port), maxNetworkRetries: 0,
                            ...options});
  }
  async lossy(...lose) {
    const network = await new Lossy(this.url).listen();
    network.lose = lose;
    return network;
  }
  charges(order) {
    const lines = readFileSync(this.ledger, 'utf8').split('\n').slice(0, -1);  // what follows is being written
    return lines.map(line => JSON.parse(line).charge)
        .filter(charge => charge.metadata.order === order);
  }
  async end() {
    await this.server.kill('SIGTERM');
    await this.gateway.kill('SIGTERM');
    this.line.server.close();
    this.line.server.closeAllConnections();
    rmSync(this.directory, {recursive: true, force: true});
  }
}

const world = await World.make();
after(() => world.end());
const stripe = world.stripe();
const payment = (order, source = 'tok_visa') => ({amount: 450, currency: 'eur', source, metadata: {order}});
const intent = (order, payment_method = 'pm_card_visa') =>
    ({amount: 450, currency: 'eur', payment_method, confirm: true, metadata: {order}});

/// What the call throws; it must throw that.
async function thrown(call, type) {
  const error = await call.then(() => assert.fail('nothing was thrown'), error => error);
  assert.equal(error.type, type, String(error));
  return error;
}

describe('charges and payment intents', {concurrency: true}, () => {
  test('a charge is created, retrieved and listed', async () => {
    const charge = await stripe.charges.create({...payment('plain'), description: 'a book & <more>'});
    assert.match(charge.id, /^ch_/);
    assert.equal(charge.status, 'succeeded');
    assert.equal(charge.amount, 450);
    assert.equal(charge.currency, 'eur');
    assert.equal(charge.description, 'a book & <more>');
    assert.equal(charge.metadata.order, 'plain');
    assert.equal(charge.lastResponse.statusCode, 200);
    assert.match(charge.lastResponse.requestId, /^req_/);
    assert.deepEqual({...await stripe.charges.retrieve(charge.id)}, {...charge});
    assert.equal(world.charges('plain').length, 1);
  });

  test('a list is walked by pages, and has the payments of one account', async () => {
    const lister = world.stripe({}, 'sk_test_lister');
    const made = [];
    for (let at = 0; at < 5; ++at) made.push((await lister.charges.create(payment(`listed ${at}`))).id);
    const listed = await lister.charges.list({limit: 2}).autoPagingToArray({limit: 100});
    assert.deepEqual(listed.map(charge => charge.id), made.reverse());
  });

  test('a payment intent is created and confirmed at once, retrieved and listed', async () => {
    const made = await stripe.paymentIntents.create(intent('intent'));
    assert.match(made.id, /^pi_/);
    assert.equal(made.status, 'succeeded');
    assert.equal(made.amount, 450);
    assert.deepEqual({...await stripe.paymentIntents.retrieve(made.id)}, {...made});
    const listed = await stripe.paymentIntents.list({limit: 100});
    assert.ok(listed.data.some(one => one.id === made.id));
    assert.equal(world.charges('intent').length, 1);
  });

  test('an intent that is not confirmed at once is refused', async () => {
    const {confirm, ...unconfirmed} = intent('unconfirmed');
    const error = await thrown(stripe.paymentIntents.create(unconfirmed), 'StripeInvalidRequestError');
    assert.equal(error.param, 'confirm');
    assert.equal(world.charges('unconfirmed').length, 0);
  });

  test('a declined card is a StripeCardError, and the same one again', async () => {
    const options = {idempotencyKey: 'declined_once'};
    const first = await thrown(stripe.charges.create(payment('declined', 'tok_chargeDeclined'), options), 'StripeCardError');
    assert.equal(first.code, 'card_declined');
    assert.equal(first.statusCode, 402);
    assert.match(first.charge, /^ch_/);
    const second = await thrown(stripe.charges.create(payment('declined', 'tok_chargeDeclined'), options), 'StripeCardError');
    assert.equal(second.charge, first.charge);
    assert.equal(second.headers['idempotent-replayed'], 'true');
    assert.equal(world.charges('declined').length, 1);
    assert.equal(world.charges('declined')[0].paid, false);

    const declined = await thrown(stripe.paymentIntents.create(intent('declined intent', 'pm_card_chargeDeclined')), 'StripeCardError');
    assert.equal(declined.statusCode, 402);
    assert.ok(world.charges('declined intent').every(charge => !charge.paid));
  });

  test('the same request with the same key is one payment', async () => {
    const options = {idempotencyKey: 'twice/17:a+b=c'};
    const first = await stripe.charges.create(payment('twice'), options);
    const second = await stripe.charges.create(payment('twice'), options);
    assert.equal(second.id, first.id);
    assert.equal(first.lastResponse.headers['idempotent-replayed'], undefined);
    assert.equal(second.lastResponse.headers['idempotent-replayed'], 'true');
    assert.equal(second.lastResponse.idempotencyKey, options.idempotencyKey);
    assert.equal(world.charges('twice').length, 1);
  });

  test('a key that is used for another request is a StripeIdempotencyError', async () => {
    const options = {idempotencyKey: 'reused'};
    await stripe.charges.create(payment('reused'), options);
    await thrown(stripe.charges.create({...payment('reused'), amount: 451}, options), 'StripeIdempotencyError');
    assert.equal(world.charges('reused').length, 1);
    // Of another account it is another key.
    const other = await world.stripe({}, 'sk_test_other').charges.create(payment('of another'), options);
    assert.equal(other.metadata.order, 'of another');
  });

  test('a wrong API key is a StripeAuthenticationError, and learns nothing', async () => {
    const charge = await stripe.charges.create(payment('mine'), {idempotencyKey: 'mine'});
    for (const key of ['sk_test_wrong', 'sk_test_sho', 'sk_test_shopp']) {
      const wrong = world.stripe({}, key);
      const error = await thrown(wrong.charges.create(payment('mine'), {idempotencyKey: 'mine'}), 'StripeAuthenticationError');
      assert.equal(error.statusCode, 401);
      assert.ok(!JSON.stringify(error.raw).includes(charge.id));
      await thrown(wrong.charges.retrieve(charge.id), 'StripeAuthenticationError');
    }
    const other = await thrown(world.stripe({}, 'sk_test_other').charges.retrieve(charge.id), 'StripeInvalidRequestError');
    assert.equal(other.code, 'resource_missing');
    assert.equal(other.statusCode, 404);
    assert.equal(world.charges('mine').length, 1);
  });

  test('what cannot be paid is a StripeInvalidRequestError that names the parameter', async () => {
    const right = payment('invalid');
    const wrong = [[{...right, amount: -1}, 'amount'], [{...right, amount: 4.5}, 'amount'], [{...right, currency: 'euro'}, 'currency'],
                   [{...right, source: undefined}, 'source'], [{...right, source: 'tok_unknown'}, 'source'],
                   [{...right, capture: false}, 'capture'], [{...right, metadata: {provider_key: 'x'}}, 'metadata[provider_key]']];
    for (const [parameters, name] of wrong) {
      const error = await thrown(stripe.charges.create(parameters), 'StripeInvalidRequestError');
      assert.equal(error.param, name, error.message);
      assert.equal(error.statusCode, 400);
    }
    assert.equal((await thrown(stripe.charges.retrieve('ch_unknown'), 'StripeInvalidRequestError')).code, 'resource_missing');
    assert.equal(world.charges('invalid').length, 0);
  });

  test('without retries a payment in doubt is a StripeAPIError, and the same call again settles it', async () => {
    const options = {idempotencyKey: 'in-doubt'};
    const error = await thrown(stripe.charges.create(payment('in doubt', 'tok_dropReply'), options), 'StripeAPIError');
    assert.equal(error.statusCode, 503);
    assert.equal(error.code, 'payment_in_doubt');
    const charge = await stripe.charges.create(payment('in doubt', 'tok_dropReply'), options);
    assert.equal(charge.status, 'succeeded');
    assert.deepEqual(world.charges('in doubt').map(one => one.id), [charge.id]);
  });
});

describe('the SDK tries again by itself', {concurrency: true}, () => {
  const lost = [['reply'], ['request'], ['request', 'reply', 'reply', 'request', 'reply']];
  for (const lose of lost) {
    for (const [what, make] of [['charge', one => one.charges.create(payment(`lost ${lose}`))],
                                ['intent', one => one.paymentIntents.create(intent(`lost intent ${lose}`))]]) {
      test(`over a network that loses ${lose.join(', ')}: ${what}`, async () => {
        const network = await world.lossy(...lose);
        try {
          const made = await make(world.stripe({port: network.port, maxNetworkRetries: lose.length}));
          assert.equal(made.status, 'succeeded');
          const keys = network.keys();
          assert.equal(keys.length, lose.length + 1);
          assert.match(keys[0], /^stripe-node-retry-/);
          assert.ok(keys.every(key => key === keys[0]));
          assert.equal(network.lose.length, 0);
          assert.equal(world.charges(made.metadata.order).length, 1);
        } finally {
          network.end();
        }
      });
    }
  }

  test('not when half of an answer came: the same call again is the same payment', async () => {
    const network = await world.lossy('half');
    try {
      const shop = world.stripe({port: network.port, maxNetworkRetries: 5});
      const call = () => shop.charges.create(payment('half'), {idempotencyKey: 'half'});
      await thrown(call(), 'StripeConnectionError');
      const charge = await call();
      assert.deepEqual(network.keys(), ['half', 'half']);
      assert.deepEqual(world.charges('half').map(one => one.id), [charge.id]);
    } finally {
      network.end();
    }
  });

  test('after a gateway that charged and hung up', async () => {
    const charge = await world.stripe({maxNetworkRetries: 5}).charges.create(payment('gateway hung up', 'tok_dropReply'));
    assert.equal(charge.status, 'succeeded');
    assert.deepEqual(world.charges('gateway hung up').map(one => one.id), [charge.id]);
  });

  test('beside twenty calls with the same key', async () => {
    const one = world.stripe({maxNetworkRetries: 10});
    const calls = Array.from({length: 20}, () => one.charges.create(payment('concurrent', 'tok_delay'), {idempotencyKey: 'concurrent'}));
    const ids = (await Promise.all(calls)).map(charge => charge.id);
    assert.equal(new Set(ids).size, 1);
    assert.equal(world.charges('concurrent').length, 1);
  });

  test('while the payment server is killed between charge and record, and begins again', async () => {
    const own = await World.make();
    const network = await own.lossy();
    try {
      const held = own.line.hold('after');  // the gateway has charged, and its answer is still on the line
      const call = own.stripe({port: network.port, maxNetworkRetries: 10}).charges.create(payment('killed'));
      await held.here;
      assert.equal(own.charges('killed').length, 1);
      await own.server.kill('SIGKILL');
      held.release();
      await own.startServer(network.to);
      const charge = await call;
      assert.equal(charge.status, 'succeeded');
      assert.deepEqual(own.charges('killed').map(one => one.id), [charge.id]);
      assert.ok(network.keys().length > 1);
      assert.equal(new Set(network.keys()).size, 1);
    } finally {
      network.end();
      await own.end();
    }
  });

  test('while the payment server is killed after the record, and begins again', async () => {
    const own = await World.make();
    const network = await own.lossy('reply');
    try {
      const call = own.stripe({port: network.port, maxNetworkRetries: 10}).charges.create(payment('killed later'));
      while (network.lose.length > 0) await new Promise(setImmediate);  // the server has answered
      await own.server.kill('SIGKILL');
      await own.startServer(network.to);
      const charge = await call;
      assert.equal(charge.lastResponse.headers['idempotent-replayed'], 'true');
      assert.deepEqual(own.charges('killed later').map(one => one.id), [charge.id]);
    } finally {
      network.end();
      await own.end();
    }
  });
});
