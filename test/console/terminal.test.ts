import fc from 'fast-check';
import { drawFrame } from '../../src/console/terminal/frame';
import { ASCII, type FrameOptions, UNICODE } from '../../src/console/terminal/frame-options';
import { LiveScreen } from '../../src/console/terminal/live-screen';
import {
  ansiLine,
  fitLine,
  type Line,
  lineWidth,
  span,
  widthOf,
  wrap,
} from '../../src/console/terminal/styled-line';
import type { MigrationView } from '../../src/console/view/migration-view';
import { histogramOf } from '../../src/core/statistics/histogram';
import { HOUR_MS } from '../../src/core/text/duration';
import { aCell, aGateway, aMetric, viewOf } from '../support/migrations/migration-sighting';
import { givenMigration } from '../support/migrations/migration-world';

const ESCAPES = '\u001b[31mred\u001b]0;title\u0007\u202eright\nline';

function options(columns: number, rows: number, said: Partial<FrameOptions> = {}): FrameOptions {
  return {
    columns,
    rows,
    nowMs: Date.UTC(2026, 0, 5, 11),
    timeText: (atMs) => new Date(atMs).toISOString().slice(11, 19),
    glyphs: UNICODE,
    ...said,
  };
}

/** A canary in full swing, paused by somebody whose reason is hostile. */
function busyView(): MigrationView {
  const metrics = [
    aMetric({ outcome: 'pass', eValue: 285, threshold: 20 }),
    aMetric({ metric: 'floor', eValue: 0.45, threshold: 320 }),
    aMetric({ metric: 'minimum sample', unit: 'requests', candidate: 45, margin: 80 }),
  ];
  const world = givenMigration()
    .reaches('canary')
    .elapse(HOUR_MS)
    .watches({
      observedMs: HOUR_MS,
      verdict: { outcome: 'inconclusive', sentence: '45 of 80 candidate requests', metrics },
    })
    .says('pause', { by: 'ana', reason: ESCAPES });
  const times = histogramOf([90, 110, 140]);
  const cells = [
    aCell({
      side: 'legacy',
      attempts: 900,
      successes: 898,
      failures: { timeout: 2 },
      totalMs: times,
      tokensIn: 9_000,
      tokensOut: 400,
    }),
    aCell({
      side: 'candidate',
      attempts: 100,
      successes: 97,
      failures: { status_5xx: 3 },
      totalMs: times,
      tokensIn: 900,
      tokensOut: 50,
    }),
  ];
  return viewOf(world, {
    gateways: [aGateway(world, 'gw-a', {}, cells), aGateway(world, 'gw-b', {}, cells)],
  });
}

function textOf(lines: readonly Line[]): string {
  return lines
    .map((line) =>
      line
        .map(({ text }) => text)
        .join('')
        .trimEnd(),
    )
    .join('\n');
}

it('shows a migration at 80 by 24', () => {
  expect(textOf(drawFrame(busyView(), options(80, 24)))).toMatchInlineSnapshot(`
"chat  old-llm → new-llm                         10% asked, 10% measured  epoch 2
canary  watching; paused
● assess 0% ── ◉ canary 10% ── ○ rolling 50% ── ○ complete 100%

Paused  1 h  By ana: \\x1b[31mred\\x1b]0;title\\x07\\u202eright\\x0aline. The stage
  is still watched, and harm still rolls back.

soak ━─────────────────── 23 h left  60 min of 24 h             hold in 2 d 22 h

                     old-llm       new-llm   gate inconclusive
requests               1,800           200   errors          ━━━━━ 285/20
errors                 0.22%            3%   floor           ───── 0.45/320 harm
  timeout                  4             0   minimum sample  ━━━── 45/80
  status 5xx               0             6   45 of 80 candidate requests
plain p50, p95   111, 140 ms   111, 140 ms
tokens in, out    18.0k, 800    1,800, 100
probes failed        0 of 12       0 of 12

gw-a  as asked  asked 10%  serves 10%  measured 10%  100 requests  epoch 2
gw-b  as asked  asked 10%  serves 10%  measured 10%  100 requests  epoch 2

  6 10:00:00  paused              canary              by ana: \\x1b[31mred\\x1b]0…
  5 09:00:00  took effect         canary 10% epoch 2  checkpoint 4; confirmed b…
  4 09:00:00  intended: advance   canary 10% epoch 2  by cutover: both provider…"
`);
});

it('leaves no room unused that it needs at 120 by 40', () => {
  const text = textOf(drawFrame(busyView(), options(120, 40)));
  for (const part of ['assess 0%', 'status 5xx', '285/20', 'gw-b', 'intended: baseline', 'by ana']) {
    expect(text).toContain(part);
  }
});

it('shows the keys in its last row where there is room', () => {
  const keys = 'q leaves';
  const lines = drawFrame(busyView(), options(80, 24, { keys }));
  expect(lines).toHaveLength(24);
  expect(textOf(lines.slice(-1))).toBe(keys);
  expect(textOf(drawFrame(busyView(), options(80, 10, { keys })))).not.toContain(keys);
});

it('gives a banner two lines at 80 by 24, and all of it where there are rows', () => {
  const reason = Array.from({ length: 60 }, (_, at) => `word${at}`).join(' ');
  const view = viewOf(givenMigration().reaches('canary').says('pause', { by: 'ana', reason }));
  const bannerOf = (rows: number) => {
    const lines = textOf(drawFrame(view, options(80, rows))).split('\n');
    const from = lines.findIndex((line) => line.startsWith('Paused'));
    return lines.slice(from, lines.indexOf('', from));
  };
  const short = bannerOf(24);
  expect(short).toHaveLength(2);
  expect(short[1]).toMatch(/…$/);
  expect(bannerOf(40).join(' ')).toContain('word59');
});

it('begins with why a migration went back', () => {
  const view = viewOf(
    givenMigration().reaches('rolling').says('rollback', { by: 'ana', reason: 'slow' }).applies(),
  );
  const [first, , third] = textOf(drawFrame(view, options(80, 24))).split('\n');
  expect(first).toMatch(/^Rolled back \d\d:\d\d:\d\d {2}By ana: slow\. Share 0 is verified/);
  expect(third).toBe('');
  expect(textOf(drawFrame(view, options(80, 24)))).toContain(
    '● assess 0% ── ● canary 10% ── ⊗ rolling 50% ── ○ complete 100%',
  );
});

it('says what happens next by itself', () => {
  const world = givenMigration()
    .reaches('canary')
    .elapse(HOUR_MS)
    .watches({ observedMs: 24 * HOUR_MS - 31_000 });
  const text = textOf(drawFrame(viewOf(world), options(80, 24, { nowMs: world.nowMs })));
  expect(text).toContain('Moves on to rolling in 31 s if the gate still passes: nothing to do');
});

it('fits into any terminal, however small, and says most in what there is', () => {
  const view = busyView();
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 60 }), (columns, rows) => {
      for (const glyphs of [UNICODE, ASCII]) {
        const lines = drawFrame(view, options(columns, rows, { glyphs }));
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) expect(lineWidth(line)).toBeLessThanOrEqual(columns);
      }
    }),
    { numRuns: 150 },
  );
  const narrow = textOf(drawFrame(view, options(20, 24)));
  expect(narrow).toContain('canary 10%');
  expect(narrow).toContain('Paused');
});

it('shows escapes, control characters and turned text in reasons as text', () => {
  const view = busyView();
  const lines = drawFrame(view, options(120, 40));
  const text = textOf(lines);
  expect(text).toContain('\\x1b[31mred\\x1b]0;title\\x07\\u202eright\\x0aline');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
});

it('draws with ASCII where the terminal does not say that it takes UTF-8', () => {
  const text = textOf(drawFrame(busyView(), options(80, 24, { glyphs: ASCII })));
  const own = text.replaceAll('–', '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII
  expect(own).toMatch(/^[\u0000-\u007f]*$/);
});

describe('widths', () => {
  it.each([
    ['abc', 3],
    ['漢字', 4],
    ['e\u0301', 1],
    ['👩‍💻', 2],
    ['한글', 4],
  ])('of %s is %i columns', (text, width) => {
    expect(widthOf(text)).toBe(width);
  });

  it('never cut a wide character in two', () => {
    expect(textOf([fitLine([span('漢字漢字')], 6, '…')])).toBe('漢字…');
    expect(textOf([fitLine([span('漢字漢字')], 8, '…')])).toBe('漢字漢字');
  });

  it('break texts between words', () => {
    expect(textOf(wrap('one two three', 7, 'plain'))).toBe('one two\nthree');
  });
});

it('says by weight and inversion what colours say where there are none', () => {
  const line = [span('gone', 'alarm'), span(' good', 'good')];
  expect(ansiLine(line, false)).toBe('\u001b[1;7mgone\u001b[0m good');
  expect(ansiLine(line, true)).toBe('\u001b[1;97;41mgone\u001b[0m\u001b[32m good\u001b[0m');
});

describe('the screen', () => {
  it('leaves the last frame on the ordinary screen, without empty rows at its end', () => {
    const { written, screen } = recorded();
    screen.enter();
    screen.draw([[span('one')]]);
    screen.leaveBehind([[span('last', 'strong')], [], [span('frame')], [], []]);
    const left = written.join('').split('\u001b[?1049l')[1];
    expect(left).toBe('\u001b[1mlast\u001b[0m\r\n\r\nframe\r\n');
  });

  function recorded() {
    const written: string[] = [];
    const output = { columns: 20, rows: 3, write: (text: string) => written.push(text) };
    return { written, screen: new LiveScreen(output, true) };
  }

  it('writes only the rows that changed, and nothing when none has', () => {
    const { written, screen } = recorded();
    screen.enter();
    screen.draw([[span('one')], [span('two')]]);
    written.length = 0;
    screen.draw([[span('one')], [span('two')]]);
    expect(written).toEqual([]);
    screen.draw([[span('one')], [span('2')]]);
    expect(written.join('')).toContain('\u001b[2;1H\u001b[2K2');
    expect(written.join('')).not.toContain('one');
  });

  it('gives the cursor, the wrapping and the former screen back, once', () => {
    const { written, screen } = recorded();
    screen.enter();
    screen.leave();
    screen.leave();
    screen.draw([[span('late')]]);
    expect(written.join('')).toBe(
      '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l',
    );
  });
});
