import type { Banner } from '../view/banner';
import { type Child, h } from './element';
import { ago, moment } from './moment';

/** A banner; what stands between backticks is set as code. */
export function bannerElement(
  { tone, title, text, sinceMs, facts = [] }: Banner,
  ...links: readonly Child[]
): HTMLElement {
  return h(
    'div',
    { class: `banner ${tone}` },
    h('strong', {}, title),
    sinceMs !== null && h('span', { class: 'since' }, moment(sinceMs), ', ', ago(sinceMs)),
    text !== '' && h('p', {}, ...withCode(text)),
    facts.length > 0 && h('ul', { class: 'banner-facts' }, ...facts.map((fact) => h('li', {}, fact))),
    links.length > 0 && h('p', {}, ...links),
  );
}

/** Only commands of our own hold backticks in pairs; whatever else does is set as code, which is text as well. */
function withCode(text: string): Child[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part));
}
