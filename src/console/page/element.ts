import { visibleText } from '../../core/text/visible-text';

export type Child = Node | string | number | null | false;

type Attributes = Readonly<Record<string, string | number | boolean | null>>;

/** An element with attributes and children; every text becomes a text node, never markup. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    element.setAttribute(name, value === true ? '' : visibleText(String(value)));
  }
  element.append(...nodesOf(children));
  return element;
}

/** Puts other children into an element; what had the focus keeps it, found again by its `data-key`. */
export function fill(element: Element, ...children: readonly Child[]): void {
  const focused = element.contains(document.activeElement)
    ? document.activeElement?.closest('[data-key]')?.getAttribute('data-key')
    : null;
  element.replaceChildren(...nodesOf(children));
  if (focused == null) return;
  const again = [...element.querySelectorAll<HTMLElement>('[data-key]')].find(
    (candidate) => candidate.dataset['key'] === focused,
  );
  again?.focus();
}

function nodesOf(children: readonly Child[]): Node[] {
  return children
    .filter((child) => child !== null && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(visibleText(String(child)))));
}

/** A part of a whole as a bar; `label` is what it says to those who do not see it. */
export function bar(fraction: number, tone: string, label: string): HTMLElement {
  const filled = h('span', { class: 'bar-filled' });
  filled.style.setProperty('--fraction', String(fraction));
  return h('span', { class: `bar ${tone}`, role: 'img', 'aria-label': label }, filled);
}
