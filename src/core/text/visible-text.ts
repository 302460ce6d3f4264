/** Characters that steer a terminal, end a line, hide, or turn the direction of what follows. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;
/** Most texts have nothing but what ASCII prints: one look suffices. */
const UNUSUAL = /[^\n -~]/;
/** Joins emoji and letters of several scripts: harmless, and names are unreadable without it. */
const JOINERS = '\u200c\u200d';

/** Text from people and providers with everything unseen made visible as `\x1b` or `\u202e`. */
export function visibleText(text: string): string {
  return text.replace(UNSEEN, (character) => {
    if (JOINERS.includes(character)) return character;
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100
      ? `\\x${hex(code, 2)}`
      : code < 0x10000
        ? `\\u${hex(code, 4)}`
        : `\\u{${hex(code, 5)}}`;
  });
}

/** Lines of text: as `visibleText`, but line ends and tabs stay what they are. */
export function visibleLines(text: string): string {
  return text.replace(/[^\t\n]+/g, visibleText);
}

/** JSON text that says the same in characters that a terminal shows as they are; line ends between documents stay. */
export function visibleJson(json: string): string {
  if (!UNUSUAL.test(json)) return json;
  return json.replace(UNSEEN, (character) => {
    if (character === '\n') return character;
    let escaped = '';
    for (let unit = 0; unit < character.length; unit++) {
      escaped += `\\u${hex(character.charCodeAt(unit), 4)}`;
    }
    return escaped;
  });
}

function hex(code: number, length: number): string {
  return code.toString(16).padStart(length, '0');
}
