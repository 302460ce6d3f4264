/** Text within HTML and SVG: nothing in it is markup. */
export function markup(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Text within Markdown: nothing in it is markup, ends a table cell or begins a line of its own. */
export function markdownText(text: string): string {
  return visible(text)
    .replace(/[\\`*_[\]<>|~#]/g, (character) => `\\${character}`)
    .replace(/&/g, '&amp;');
}

/** Control and direction characters, which could hide or turn what a person reads. */
const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function visible(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
