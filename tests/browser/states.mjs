// Every state of the page, for those who look at it: a camera, or what finds obstacles.

import assert from 'node:assert/strict';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';

/// Calls `look(page, name)` in each state.
async function visit(world, context, order, look) {
  const pay = async (page, card) => {
    await page.getByRole('radio', {name: card}).check();
    await page.locator('#submit').click();
  };
  const reads = (page, title) => page.locator('h1', {hasText: title}).waitFor();
  let page = await context.newPage();
  await page.goto(world.url);
  await look(page, 'shop');
  await page.goto(`${world.url}/orders/none`);
  await look(page, 'not_found');
  await page.close();

  page = await order(context);
  await look(page, 'unpaid');
  await pay(page, 'A card that is declined');
  await reads(page, 'declined');
  await look(page, 'declined');
  await pay(page, 'A card that works');
  await reads(page, 'Paid');
  await look(page, 'paid');
  await page.close();

  page = await order(context);
  const held = world.line.hold('before');
  await pay(page, 'A card that works');
  await held.here;
  await look(page, 'pressed');
  await reads(page, 'being made');
  await look(page, 'paying');
  await context.setOffline(true);
  await page.locator('#told', {hasText: 'offline'}).waitFor();
  await look(page, 'offline');
  await context.setOffline(false);
  await world.killServer();
  await world.restartServer();
  await reads(page, 'being verified');
  await look(page, 'being_verified');
  held.release();
  await reads(page, 'Paid');
  await page.close();

  page = await order(context);
  await pay(page, 'A bank transfer');
  await reads(page, 'Waiting for your bank');
  await look(page, 'awaiting_bank');
  await page.close();
}

const looks = {
  light: {viewport: {width: 900, height: 760}},
  dark: {viewport: {width: 900, height: 760}, colorScheme: 'dark'},
  narrow: {viewport: {width: 320, height: 720}, deviceScaleFactor: 2},
};

/// Light, dark, and as narrow as a small phone, to be looked at by people.
export async function pictures(world, person, order, directory) {
  mkdirSync(directory, {recursive: true});
  for (const [look, settings] of Object.entries(looks)) {
    const context = await person(settings);
    await visit(world, context, order, (page, name) =>
      page.screenshot({path: join(directory, `${name}-${look}.png`), fullPage: true, animations: 'disabled'}));
    await context.close();
  }
}

/// What axe-core finds in light and dark, one main heading, and nothing wider than 320 pixels.
export async function obstacles(world, context, order) {
  const titles = new Set();
  await visit(world, context, order, async (page, name) => {
    titles.add(await page.title());
    await page.evaluate(world.axe);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({colorScheme, reducedMotion: 'reduce'});
      const settings = {resultTypes: ['violations']};
      if (colorScheme === 'dark') settings.runOnly = ['color-contrast'];  // nothing else differs
      const found = await page.evaluate(settings => window.axe.run(document, settings), settings);
      assert.deepEqual(found.violations.map(({id, nodes}) => [id, nodes.map(node => node.html)]), [], `${name}, ${colorScheme}`);
    }
    assert.equal(await page.locator('h1').count(), 1);
    const before = page.viewportSize();
    await page.setViewportSize({width: 320, height: 600});
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 320), `${name} is wider than 320 pixels`);
    await page.setViewportSize(before);
  });
  assert.equal(titles.size, 8, 'each state says in its title what it is');
}
