import { setTimeout as sleep } from 'node:timers/promises';
import type { MigrationClient } from '../../client';
import { environment } from '../../config';
import { GatewayWatch } from '../../console/source/gateway-watch';
import { MigrationSource } from '../../console/source/migration-source';
import { drawFrame, drawNotice } from '../../console/terminal/frame';
import { ASCII, type FrameOptions, UNICODE } from '../../console/terminal/frame-options';
import { LiveScreen } from '../../console/terminal/live-screen';
import { type MigrationView, migrationView } from '../../console/view/migration-view';
import type { MigrationStatus } from '../../core/migration/status';
import { asTyped } from '../options/typed-command';
import { consoleParts } from '../run/console-parts';

interface LiveOptions {
  readonly config: string | undefined;
  readonly intervalMs: number;
}

/** Time left is counted down although nothing else has changed, milliseconds. */
const REDRAW_MS = 1_000;

/**
 * Shows a migration on the whole terminal until it closes, or until somebody leaves: then null. Whatever ends it,
 * the terminal is given back as it was.
 */
export async function watchLive(
  client: MigrationClient,
  route: string,
  { config, intervalMs }: LiveOptions,
): Promise<MigrationStatus | null> {
  const { gateways, providersOf } = consoleParts(config);
  const source = new MigrationSource({
    client: async () => client,
    route,
    gateways: gateways === null ? null : new GatewayWatch(gateways, route, () => performance.now()),
    providers: providersOf(route),
    now: () => Date.now(),
  });
  const terminal = new Terminal(environment['NO_COLOR'] === undefined || environment['NO_COLOR'] === '');
  let last: MigrationStatus | null = null;
  try {
    // What is wrong from the start is told on the ordinary screen.
    const first = await source.read();
    if (first !== null) {
      last = first.status;
      terminal.show(migrationView(first));
    }
    terminal.enter();
    while (last?.phase !== 'closed' && !terminal.left.aborted) {
      await sleep(intervalMs, undefined, { signal: terminal.left }).catch(() => undefined);
      if (terminal.left.aborted) break;
      const sighting = await source.read();
      if (sighting === null) continue;
      last = sighting.status;
      terminal.show(migrationView(sighting));
    }
  } finally {
    terminal.leave();
    await gateways?.close();
  }
  terminal.leaveBehind();
  return terminal.left.aborted ? null : last;
}

/** The terminal of this process: its size, its keys, and the signals that end or stop it. */
class Terminal {
  readonly #screen: LiveScreen;
  readonly #leaving = new AbortController();
  #view: MigrationView | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(colour: boolean) {
    const { stdout } = process;
    this.#screen = new LiveScreen(
      {
        get columns() {
          return stdout.columns;
        },
        get rows() {
          return stdout.rows;
        },
        write: (text) => stdout.write(text),
      },
      colour,
    );
  }

  /** Aborted when somebody asked to leave. */
  get left(): AbortSignal {
    return this.#leaving.signal;
  }

  enter(): void {
    const { stdin, stdout } = process;
    this.#screen.enter();
    this.#draw();
    this.#timer = setInterval(this.#draw, REDRAW_MS);
    stdout.on('resize', this.#resize);
    process.on('SIGCONT', this.#resume);
    process.once('SIGINT', this.#end);
    process.once('SIGTERM', this.#end);
    process.once('SIGHUP', this.#end);
    process.once('exit', this.#restore);
    if (stdin.isTTY) {
      stdin.setRawMode(true);
      stdin.on('data', this.#key);
      stdin.resume();
    }
  }

  show(view: MigrationView): void {
    const banners = view.banners.map((banner) => ({ ...banner, text: asTyped(banner.text) }));
    this.#view = { ...view, banners };
    this.#draw();
  }

  leave(): void {
    const { stdin, stdout } = process;
    if (this.#timer !== null) clearInterval(this.#timer);
    stdout.off('resize', this.#resize);
    process.off('SIGCONT', this.#resume);
    process.off('SIGINT', this.#end);
    process.off('SIGTERM', this.#end);
    process.off('SIGHUP', this.#end);
    process.off('exit', this.#restore);
    stdin.off('data', this.#key);
    this.#restore();
    if (stdin.isTTY) stdin.pause();
  }

  /** Leaves the last frame on the ordinary screen: what was seen last is what is asked about next. */
  leaveBehind(): void {
    if (this.#view === null) return;
    const { rows, ...options } = this.#options();
    this.#screen.leaveBehind(drawFrame(this.#view, { ...options, rows: Math.max(1, rows - 1) }));
  }

  readonly #draw = (): void => {
    const options = { ...this.#options(), keys: asTyped(KEYS) };
    this.#screen.draw(
      this.#view === null
        ? drawNotice('waiting for Temporal and a worker', options)
        : drawFrame(this.#view, options),
    );
  };

  #options(): FrameOptions {
    const { columns = 80, rows = 24 } = process.stdout;
    return {
      columns,
      rows,
      nowMs: Date.now(),
      timeText: (atMs) => new Date(atMs).toLocaleTimeString('en-GB'),
      glyphs: takesUtf8() ? UNICODE : ASCII,
    };
  }

  readonly #resize = (): void => {
    this.#screen.invalidate();
    this.#draw();
  };

  readonly #end = (): void => this.#leaving.abort();

  readonly #restore = (): void => {
    this.#screen.leave();
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  };

  /** In raw mode the keys that a shell acts upon arrive here. */
  readonly #key = (typed: Buffer): void => {
    const text = typed.toString();
    if (LEAVING_KEYS.includes(text)) this.#end();
    if (text !== CTRL_Z) return;
    this.#restore();
    process.kill(process.pid, 'SIGSTOP');
  };

  readonly #resume = (): void => {
    if (process.stdin.isTTY) process.stdin.setRawMode(true);
    this.#screen.enter();
    this.#draw();
  };
}

/** This screen is read-only: what can be done is done by commands elsewhere. */
const KEYS = 'q leaves  Ctrl-Z suspends  commands: another terminal, or cutover ui';

/** q, Ctrl-C, Ctrl-D. */
const LEAVING_KEYS: readonly string[] = ['q', 'Q', '\u0003', '\u0004'];
const CTRL_Z = '\u001a';

/** As the locale says; terminals without any locale are the ASCII ones of old. */
function takesUtf8(): boolean {
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
  return /utf-?8/i.test(locale);
}
