/** Scripts that tell a language, or a family of them, by themselves. */
const SCRIPTS: readonly (readonly [name: string, letters: RegExp])[] = [
  ['kana', /[\p{Script=Hiragana}\p{Script=Katakana}]/gu],
  ['han', /\p{Script=Han}/gu],
  ['hangul', /\p{Script=Hangul}/gu],
  ['cyrillic', /\p{Script=Cyrillic}/gu],
  ['arabic', /\p{Script=Arabic}/gu],
  ['hebrew', /\p{Script=Hebrew}/gu],
  ['devanagari', /\p{Script=Devanagari}/gu],
  ['greek', /\p{Script=Greek}/gu],
  ['thai', /\p{Script=Thai}/gu],
  ['latin', /\p{Script=Latin}/gu],
];

/** Short words that a language cannot do without, and that the others here do without. */
const WORDS: Readonly<Record<string, ReadonlySet<string>>> = {
  english: words(
    'the and of is are was were with that this it you for not but have has will would from which',
  ),
  spanish: words('el los las una es son y pero por para con como más está muy que del al se lo su también'),
  french: words(
    'le les des une est sont et mais pour avec dans vous nous ce cette qui que pas plus du au sur',
  ),
  german: words('der die das und ist sind nicht mit ein eine für auf den dem zu sie wir ich auch wird von'),
  italian: words('il lo gli una è sono e ma per con che non più del della nel anche come questo questa si'),
  portuguese: words('o os as uma é são e mas para com que não mais do da no na também como você isso se'),
  dutch: words('de het een en is zijn niet met voor van dat die op te aan ook maar wij ik deze wordt bij'),
  polish: words('i w na nie się jest to z do że jak ale za od przez oraz są dla tym może tylko który'),
  turkish: words('ve bir bu için ile de da çok daha olarak olan gibi kadar ama en mi ne var yok sonra'),
};

/** What is known of a text's language: its script, and for Latin script the language where its words tell. */
export interface TextLanguage {
  readonly script: string;
  readonly language: string | null;
}

/** The language of a text; null for one with too few letters to tell. */
export function languageOf(text: string): TextLanguage | null {
  const prose = text.replace(/```[\s\S]*?```/g, ' ').replace(/https?:\S+/g, ' ');
  const counts = SCRIPTS.map(([script, letters]) => ({ script, count: prose.match(letters)?.length ?? 0 }));
  const letters = counts.reduce((sum, { count }) => sum + count, 0);
  if (letters < 12) return null;
  // A sign stands for a word, and names stay in Latin letters.
  const share = (script: string) => (counts.find((each) => each.script === script)?.count ?? 0) / letters;
  if (share('kana') > 0.1) return { script: 'kana', language: 'japanese' };
  if (share('han') > 0.3) return { script: 'han', language: 'chinese' };
  const main = counts.reduce((most, each) => (each.count > most.count ? each : most));
  return { script: main.script, language: main.script === 'latin' ? latinLanguage(prose) : main.script };
}

/** Whether two texts are in one language; null where that cannot be told. */
export function sameLanguage(a: string, b: string): boolean | null {
  const [left, right] = [languageOf(a), languageOf(b)];
  if (left === null || right === null) return null;
  if (left.script !== right.script) return false;
  return left.language === null || right.language === null ? null : left.language === right.language;
}

function latinLanguage(prose: string): string | null {
  const tokens = prose.toLowerCase().match(/\p{L}+/gu) ?? [];
  const hits = Object.entries(WORDS)
    .map(([language, known]) => ({ language, count: tokens.filter((token) => known.has(token)).length }))
    .sort((a, b) => b.count - a.count);
  const [best, second] = hits;
  if (best === undefined || best.count < 3 || best.count < 1.5 * (second?.count ?? 0)) return null;
  return best.language;
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}
