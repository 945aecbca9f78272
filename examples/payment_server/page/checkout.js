// Manners only: without this script the page does the same, a little less smoothly. That an order is charged
// once is the server's doing; nothing here is needed for it.
'use strict';
(() => {
  const told = document.getElementById('told');
  const say = words => { if (told.textContent !== words) told.textContent = words; };
  const main = () => document.getElementById('main');
  const order = () => main().dataset.order;

  const soon = 500, late = 15000;  // ms between two looks
  let wait = soon, timer = 0, turn = 0;
  let paying = null;  // what ends the request, while one is under way

  /// Puts what the server says in place of what it said before, and takes the reader there.
  function show(html) {
    const page = new DOMParser().parseFromString(html, 'text/html');
    const fresh = page.getElementById('main');
    if (!fresh || !fresh.dataset.view) { location.reload(); return; }
    main().replaceWith(document.adoptNode(fresh));
    document.title = page.title;
    say('');
    main().querySelector('h1').focus();
    if (fresh.dataset.final === 'true') stop();
    wait = soon;
    watch();
  }

  function stop() {
    const ended = paying;
    paying = null;
    if (ended) ended.abort();
  }

  /// Looks again, later each time, as long as the order may change by itself.
  function watch() {
    clearTimeout(timer);
    if (!order() || (main().dataset.final === 'true' && !paying)) return;
    timer = setTimeout(look, wait);
    wait = Math.min(wait * 1.5, late);
  }

  async function look() {
    clearTimeout(timer);
    if (!order()) return;
    const mine = ++turn;
    try {
      const address = '/orders/' + encodeURIComponent(order());
      const answer = await fetch(address + '/status', {cache: 'no-store'});
      if (!answer.ok) throw new Error('no status');
      const status = await answer.json();
      if (mine !== turn) return;
      const same = status.view === main().dataset.view;
      if (!same) {
        const page = await fetch(address, {cache: 'no-store'});
        if (!page.ok) throw new Error('no page');
        const html = await page.text();
        if (mine === turn) show(html);
        return;
      }
      if (!paying) {
        if (told.dataset.lost) {
          delete told.dataset.lost;
          say(pay() ? 'Connected again. Nothing has been charged so far. You can press Pay: it is the same payment.' : '');
        }
        main().dataset.final = String(status.final);
        free();
      }
    } catch {
      if (mine !== turn) return;
      lost();
    }
    watch();
  }

  const pay = () => document.getElementById('pay');
  function busy() {
    const form = pay();
    if (!form) return;
    form.setAttribute('aria-busy', 'true');
    form.querySelector('button').disabled = true;
  }
  function free() {
    const form = pay();
    if (!form) return;
    form.removeAttribute('aria-busy');
    form.querySelector('button').disabled = false;
  }
  function lost() {
    told.dataset.lost = 'yes';
    say((navigator.onLine ? 'The shop cannot be reached just now.' : 'You are offline.') +
        ' Your payment may be under way. This page will find out; please do not pay elsewhere.');
  }

  document.addEventListener('submit', async event => {
    const form = event.target;
    if (form.id !== 'pay') return;
    event.preventDefault();
    if (paying || form.getAttribute('aria-busy') === 'true') return;
    const body = new URLSearchParams(new FormData(form));
    const request = paying = new AbortController();
    busy();
    say('Paying. This can take a moment, and goes on if you leave.');
    wait = 2 * soon;
    watch();
    try {
      const answer = await fetch(form.action, {method: 'POST', body, signal: request.signal});
      const html = await answer.text();
      if (paying !== request) return;  // a look was faster
      paying = null;
      ++turn;  // what was asked before this is older
      show(html);
    } catch {
      if (paying !== request) return;
      paying = null;  // whether it arrived is not known here: the server is asked
      lost();
      wait = soon;
      main().dataset.final = 'false';
      look();
    }
  });

  addEventListener('online', () => { if (order()) { wait = soon; look(); } });
  addEventListener('offline', () => { if (paying || (order() && main().dataset.final !== 'true')) lost(); });
  // A page that comes back from the browser's memory, or to the front, may be old.
  addEventListener('pageshow', event => { if (event.persisted) { wait = soon; look(); } });
  document.addEventListener('visibilitychange', () => { if (!document.hidden && order()) { wait = soon; look(); } });
  watch();
})();
