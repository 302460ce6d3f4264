/** Characters that steer a terminal, end a line, hide, or turn the direction of what follows. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;
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

function hex(code: number, length: number): string {
  return code.toString(16).padStart(length, '0');
}
