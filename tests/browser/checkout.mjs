// The checkout page in a real browser. Each scenario ends with what the person reads and what the gateway's ledger
// says: one charge.
//
// node checkout.mjs --server PATH --gateway PATH --chromium PATH --modules DIR [--screenshots DIR] [SCENARIO...]

import assert from 'node:assert/strict';
import {parseArgs} from 'node:util';
import {obstacles, pictures} from './states.mjs';
import {World} from './world.mjs';

const {values: options, positionals: wanted} = parseArgs({
  allowPositionals: true,
  options: {server: {type: 'string'}, gateway: {type: 'string'}, chromium: {type: 'string'}, modules: {type: 'string'},
            screenshots: {type: 'string'}}});

const paying = 'Your payment is being made';
const verified = 'Your payment is being verified';
const declined = 'The payment was declined';
const paid = 'Paid. Thank you!';
const patience = 10000;  // ms: how long anything may take before the scenario has failed

const world = new World(options);
const opened = [];

/// A browser of its own: no cookies, no cache, no history of another.
async function person(settings = {}) {
  const context = await world.browser.newContext(settings);
  context.setDefaultTimeout(patience);
  opened.push(context);
  return context;
}

const order_of = page => new URL(page.url()).pathname.split('/')[2];
const heading = page => page.locator('h1').innerText();
const reads = (page, title) => page.locator('h1', {hasText: title}).waitFor();
const charges = order => world.charges(order);
const paid_times = order => charges(order).filter(charge => charge.paid).length;

/// From the shop to the page of an order, as a person does it.
async function order(context, good = 'Notebook') {
  const page = await context.newPage();
  await page.goto(world.url);
  await page.getByRole('button', {name: `Buy ${good}`}).click();
  await reads(page, 'Pay for your order');
  return page;
}
const choose = (page, card) => page.getByRole('radio', {name: card}).check();
const press = page => page.locator('#submit').click();

/// What the person reads, and that the money was taken once.
async function ends_paid(page, order) {
  await reads(page, paid);
  assert.match(await page.title(), /^Paid/);
  assert.equal(await page.locator('#submit').count(), 0, 'nothing is left to press');
  assert.equal(paid_times(order), 1);
}

/// The bank makes up its mind about a transfer.
async function settle(order, how) {
  const payment = charges(order).at(-1).id;
  const answer = await fetch(`${await world.gateway.url}/test/settle`, {
    method: 'POST', headers: {Authorization: `Basic ${btoa('sk_test_browser:')}`}, body: new URLSearchParams({payment, ...how})});
  assert.equal(answer.status, 200, await answer.text());
}

const scenarios = {
  async 'with the keyboard alone'() {
    const page = await (await person()).newPage();
    await page.goto(world.url);
    const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.value);
    for (let presses = 0; await focused() !== 'Buy Fountain pen'; ++presses) {
      assert.ok(presses < 20);
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await reads(page, 'Pay for your order');
    for (let presses = 0; await focused() !== 'tok_visa'; ++presses) {
      assert.ok(presses < 20);
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), 'tok_chargeDeclined');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Pay 38.00 EUR');
    await page.keyboard.press('Space');
    await ends_paid(page, order_of(page));
    assert.equal(await focused(), paid, 'who cannot see is taken to the result');
    const [charge] = charges(order_of(page));
    assert.deepEqual([charge.amount, charge.currency], [3800, 'eur']);
  },

  async 'a double click'() {
    const page = await order(await person());
    const held = world.line.hold('after');
    await page.locator('#submit').dblclick();
    await held.here;
    assert.equal(await page.locator('#submit').isDisabled().catch(() => true), true);
    held.release();
    await ends_paid(page, order_of(page));
    assert.equal(charges(order_of(page)).length, 1);
  },

  async 'a double click where scripts do not run'() {
    const page = await order(await person({javaScriptEnabled: false}));
    const held = world.line.hold('after');
    const before = world.line.asked;
    await page.locator('#submit').scrollIntoViewIfNeeded();
    const {x, y, width, height} = await page.locator('#submit').boundingBox();
    await page.mouse.click(x + width / 2, y + height / 2);
    await held.here;
    await page.mouse.click(x + width / 2, y + height / 2);  // the first request goes on without its browser
    await reads(page, paying);
    held.release();
    await ends_paid(page, order_of(page));
    assert.equal(world.line.asked - before, 1, 'the gateway was asked once');
  },

  async 'a reload in mid-payment'() {
    const page = await order(await person());
    const held = world.line.hold('after');
    await press(page);
    await held.here;
    await page.reload();
    assert.equal(await heading(page), paying);
    assert.match(await page.locator('.verdict').innerText(), /do not pay for this order anywhere else/);
    held.release();
    await ends_paid(page, order_of(page));
  },

  async 'back, and Pay again'() {
    const context = await person();
    const page = await order(context);
    const old = await context.newPage();  // as a page is that was opened before and never looked at again
    await old.goto(page.url());
    await press(page);
    await ends_paid(page, order_of(page));
    await page.goBack();
    assert.equal(await heading(page), 'A few things to buy');
    await page.goForward();
    await ends_paid(page, order_of(page));
    await old.evaluate(() => HTMLFormElement.prototype.submit.call(document.getElementById('pay')));
    await ends_paid(old, order_of(page));
    assert.equal(charges(order_of(page)).length, 1);
  },

  async 'back, and Pay again, where scripts do not run'() {
    const page = await order(await person({javaScriptEnabled: false}));
    await press(page);
    await ends_paid(page, order_of(page));
    await page.goBack();
    if (await page.locator('#submit').count() > 0) await press(page);
    await ends_paid(page, order_of(page));
    assert.equal(charges(order_of(page)).length, 1);
  },

  async 'two tabs that pay at once, with two cards'() {
    const context = await person();
    const one = await order(context), two = await context.newPage();
    await two.goto(one.url());
    await choose(two, 'A slow bank');
    const held = world.line.hold('after');
    await press(one);
    await held.here;
    await press(two);
    await reads(two, paying);
    held.release();
    await ends_paid(one, order_of(one));
    await ends_paid(two, order_of(one));
    assert.equal(charges(order_of(one)).length, 1);
  },

  async 'offline in mid-payment'() {
    const context = await person();
    const page = await order(context);
    const held = world.line.hold('after');
    await press(page);
    await held.here;
    await context.setOffline(true);
    await page.locator('#told', {hasText: 'You are offline. Your payment may be under way.'}).waitFor();
    assert.match(await page.locator('#told').innerText(), /do not pay elsewhere/);
    held.release();
    await context.setOffline(false);
    await ends_paid(page, order_of(page));
  },

  async 'offline before the request has left'() {
    const context = await person();
    const page = await order(context);
    await context.setOffline(true);
    await press(page);
    await page.locator('#told', {hasText: 'You are offline.'}).waitFor();
    await context.setOffline(false);
    await page.locator('#told', {hasText: 'Nothing has been charged so far.'}).waitFor();
    assert.equal(charges(order_of(page)).length, 0);
    await press(page);
    await ends_paid(page, order_of(page));
  },

  async 'the server is killed after the money was taken'() {
    const page = await order(await person());
    const held = world.line.hold('after');
    await press(page);
    await held.here;
    await world.killServer();
    await page.locator('#told', {hasText: 'The shop cannot be reached just now.'}).waitFor();
    held.release();
    await world.restartServer();
    await ends_paid(page, order_of(page));
    assert.equal(charges(order_of(page)).length, 1);
  },

  async 'the server is killed before the request got to the bank'() {
    const page = await order(await person());
    const held = world.line.hold('before');
    await press(page);
    await held.here;
    await world.killServer();
    await world.restartServer();
    await reads(page, verified);
    assert.match(await page.locator('.verdict').innerText(), /do not pay again.*you will not be charged twice/);
    assert.equal(await page.locator('#submit').count(), 0);
    assert.equal(paid_times(order_of(page)), 0);
    held.release();  // and only now the bank charges
    await ends_paid(page, order_of(page));
    assert.equal(charges(order_of(page)).length, 1);
  },

  async 'declined, then another card'() {
    const page = await order(await person(), 'Pot of tea');
    await choose(page, 'A card that is declined');
    await press(page);
    await reads(page, declined);
    assert.match(await page.locator('.verdict').innerText(), /^Your card was declined\. No money was taken/);
    assert.equal(paid_times(order_of(page)), 0);
    await choose(page, 'A card that works');
    await press(page);
    await ends_paid(page, order_of(page));
    assert.equal(charges(order_of(page)).length, 2);
  },

  async 'the answer of the bank gets lost'() {
    const page = await order(await person(), 'Wooden puzzle');
    await choose(page, 'A bank whose answer gets lost');
    await press(page);
    await ends_paid(page, order_of(page));
    assert.equal(charges(order_of(page)).length, 1);
  },

  async 'a bank transfer, which ends with a webhook'() {
    const page = await order(await person());
    await choose(page, 'A bank transfer');
    await press(page);
    await reads(page, 'Waiting for your bank');
    assert.match(await page.locator('.verdict').innerText(), /do not pay again/);
    assert.equal(await page.locator('#submit').count(), 0);
    assert.equal(paid_times(order_of(page)), 0);
    await settle(order_of(page), {outcome: 'succeeded', deliveries: '2'});
    await ends_paid(page, order_of(page));
  },

  async 'a bank transfer that fails, then a card'() {
    const page = await order(await person());
    await choose(page, 'A bank transfer');
    await press(page);
    await reads(page, 'Waiting for your bank');
    await settle(order_of(page), {outcome: 'failed'});
    await reads(page, declined);
    await choose(page, 'A card that works');
    await press(page);
    await ends_paid(page, order_of(page));
  },

  async 'a bank transfer whose webhook never comes'() {
    const page = await order(await person());
    await choose(page, 'A bank transfer');
    await press(page);
    await reads(page, 'Waiting for your bank');
    await settle(order_of(page), {outcome: 'succeeded', deliveries: '0'});
    await world.killServer();  // so that it does not remember when it asked last
    await world.restartServer();
    await ends_paid(page, order_of(page));
  },

  async 'every state, for everybody'() { await obstacles(world, await person(), order); },

  async 'a payment where scripts do not run'() {
    const page = await order(await person({javaScriptEnabled: false}));
    const held = world.line.hold('after');
    await page.locator('#submit').click({noWaitAfter: true});
    await held.here;
    await page.goto(`${world.url}/orders/${order_of(page)}`);  // the person grows impatient
    assert.equal(await heading(page), paying);
    held.release();
    await ends_paid(page, order_of(page));  // the page looks again by itself
  },

  async 'requests that no page of ours makes'() {
    const page = await order(await person());
    const name = order_of(page), address = `${world.url}/orders/${name}`;
    const post = (where, body, headers = {}) =>
      fetch(where, {method: 'POST', redirect: 'manual', body: new URLSearchParams(body), headers});
    const good = {payment: '1', source: 'tok_visa'};
    const refused = [
      [422, {payment: '2', source: 'tok_visa'}], [422, {payment: '0', source: 'tok_visa'}],
      [422, {payment: '-1', source: 'tok_visa'}], [422, {payment: '1x', source: 'tok_visa'}],
      [422, {payment: '', source: 'tok_visa'}], [422, {source: 'tok_visa'}], [422, {payment: '1'}],
      [422, {payment: '1', source: 'tok_crash'}], [422, {payment: '1', source: '"><script>'}],
      [422, [['payment', '1'], ['payment', '1'], ['source', 'tok_visa']]],
      [403, good, {Origin: 'https://elsewhere.example'}], [403, good, {Origin: 'null'}],
      [403, good, {'Sec-Fetch-Site': 'cross-site'}], [403, good, {'Sec-Fetch-Site': 'same-site'}]];
    for (const [status, body, headers] of refused) {
      const answer = await post(`${address}/pay`, body, headers);
      assert.equal(answer.status, status, JSON.stringify([body, headers]));
      const text = await answer.text();
      assert.match(text, /This request charged nothing/);
      assert.ok(!text.includes('"><script>'));
    }
    const other = name.slice(0, -1);
    for (const unknown of ['nothing', 'notebook', `gold-${name.split('-').slice(1).join('-')}`, other, `${name}0`,
                           name.toUpperCase(), 'notebook-ffffffff-ffff-7fff-8fff-ffffffffffff', '%3Cscript%3E']) {
      for (const path of ['', '/status']) {
        const answer = await fetch(`${world.url}/orders/${unknown}${path}`);
        assert.equal(answer.status, 404, unknown + path);
        assert.ok(!(await answer.text()).includes('<script>'));
      }
      assert.equal((await post(`${world.url}/orders/${unknown}/pay`, good)).status, 404, unknown);
    }
    for (const what of ['gold', '', '<b>']) assert.equal((await post(`${world.url}/orders`, {good: what})).status, 422);
    assert.equal((await post(`${world.url}/orders`, {good: 'pen'}, {'Sec-Fetch-Site': 'cross-site'})).status, 403);
    assert.equal(charges(name).length, 0);

    for (const path of ['/', `/orders/${name}`, `/orders/${name}/status`, '/orders/none']) {
      const {headers} = await fetch(world.url + path);
      assert.match(headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'none'/, path);
      assert.ok(!headers.get('content-security-policy').includes('unsafe'));
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
      assert.equal(headers.get('referrer-policy'), 'same-origin', path);
      assert.equal(headers.get('cache-control'), 'no-store', path);
    }
    // What a client says of the price is not heard.
    const bought = await post(`${address}/pay`, {...good, amount: '1', currency: 'jpy', price: '1'},
                              {Origin: world.url});
    assert.deepEqual([bought.status, bought.headers.get('location')], [303, `/orders/${name}`]);
    assert.deepEqual(charges(name).map(charge => [charge.amount, charge.currency]), [[1250, 'eur']]);
    // And once it is paid, no number and no card changes that.
    for (const payment of ['1', '2']) await post(`${address}/pay`, {payment, source: 'tok_mastercard'});
    await post(`${address}/pay`, {payment: '2', source: 'tok_visa'});
    assert.equal(charges(name).length, 1);
  },
};

async function run(name, scenario) {
  const begun = Date.now();
  const complaints = [];
  world.browser.removeAllListeners('context');
  world.browser.on('context', context => context.on('console', message => {
    if (message.text().includes('Content Security Policy')) complaints.push(message.text());
  }));
  try {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(reject, 2 * patience, new Error('it takes too long')); });
    await Promise.race([scenario(), late]).finally(() => clearTimeout(timer));
    assert.deepEqual(complaints, []);
    console.log(`ok      ${name} (${Date.now() - begun} ms)`);
    return true;
  } catch (failure) {
    const pages = opened.flatMap(context => context.pages());
    const texts = await Promise.all(pages.map(page => page.locator('body').innerText({timeout: 1000}).catch(() => '?')));
    console.log(`FAILED  ${name}\n${failure.stack}\n${texts.map(text => `--- a page reads:\n${text}`).join('\n')}`);
    return false;
  } finally {
    await Promise.all(opened.splice(0).map(context => context.close()));
  }
}

let failed = 0;
try {
  await world.begin();
  if (options.screenshots) await pictures(world, person, order, options.screenshots);
  for (const [name, scenario] of Object.entries(scenarios))
    if (wanted.length === 0 ? !options.screenshots : wanted.includes(name)) failed += await run(name, scenario) ? 0 : 1;
  for (const name of wanted) if (!scenarios[name]) { console.log(`no scenario "${name}"`); ++failed; }
} catch (failure) {
  console.log(failure.stack, world.server?.log ?? '');
  ++failed;
} finally {
  await world.end();
}
process.exit(failed === 0 ? 0 : 1);
