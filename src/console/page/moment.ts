import { DAY_MS } from '../../core/text/duration';
import { timeLeftText } from '../view/number-text';
import { h } from './element';

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const FULL = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long' });

/** A moment as short as it is clear: `14:05:31` today, `29 Jul 14:05` on other days. */
export function moment(atMs: number): HTMLTimeElement {
  const date = new Date(atMs);
  const time = TIME.format(date);
  const isToday = Math.abs(Date.now() - atMs) < DAY_MS && date.getDate() === new Date().getDate();
  const text = isToday ? time : `${DAY.format(date)} ${time.slice(0, 5)}`;
  return h('time', { datetime: date.toISOString(), title: FULL.format(date) }, text);
}

/** A text that is written anew each second for as long as it is on the page. */
export function ticking(text: () => string): HTMLElement {
  const span = h('span', { class: 'ticking' }, text());
  const timer = setInterval(() => {
    if (!span.isConnected) return clearInterval(timer);
    span.textContent = text();
  }, 1_000);
  return span;
}

/** How long ago something was: `3 h 12 min ago`. */
export function ago(atMs: number): HTMLElement {
  return ticking(() => `${timeLeftText(Date.now() - atMs)} ago`);
}
