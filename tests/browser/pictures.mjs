// Every state of the page, to be looked at by people: light, dark, and as narrow as a small phone.

import {mkdirSync} from 'node:fs';
import {join} from 'node:path';

const looks = {
  light: {viewport: {width: 900, height: 760}},
  dark: {viewport: {width: 900, height: 760}, colorScheme: 'dark'},
  narrow: {viewport: {width: 320, height: 720}, deviceScaleFactor: 2},
};

export async function pictures(world, person, order, directory) {
  mkdirSync(directory, {recursive: true});
  for (const [look, settings] of Object.entries(looks)) {
    const context = await person(settings);
    const take = (page, name) => page.screenshot({path: join(directory, `${name}-${look}.png`), fullPage: true,
                                                  animations: 'disabled'});
    const pay = async (page, card) => {
      await page.getByRole('radio', {name: card}).check();
      await page.locator('#submit').click();
    };
    const reads = (page, title) => page.locator('h1', {hasText: title}).waitFor();
    const shop = await context.newPage();
    await shop.goto(world.url);
    await take(shop, 'shop');

    let page = await order(context);
    await take(page, 'unpaid');
    await pay(page, 'A card that works');
    await reads(page, 'Paid');
    await take(page, 'paid');

    page = await order(context);
    await pay(page, 'A card that is declined');
    await reads(page, 'declined');
    await take(page, 'declined');

    page = await order(context);
    const held = world.line.hold('before');
    await pay(page, 'A card that works');
    await held.here;
    await take(page, 'pressed');
    await reads(page, 'being made');
    await take(page, 'paying');
    await context.setOffline(true);
    await page.locator('#told', {hasText: 'offline'}).waitFor();
    await take(page, 'offline');
    await context.setOffline(false);
    await world.killServer();
    await world.restartServer();
    await reads(page, 'being verified');
    await take(page, 'being_verified');
    held.release();
    await reads(page, 'Paid');

    page = await order(context);
    await pay(page, 'A bank transfer');
    await page.locator('h1:not(:text("Pay for"))').waitFor();
    await take(page, 'awaiting_bank');

    await page.goto(`${world.url}/orders/none`);
    await take(page, 'not_found');
    await context.close();
  }
}
