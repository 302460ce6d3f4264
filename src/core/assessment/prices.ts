/** Prices a million tokens, in one currency. */
export interface Rates {
  readonly inputPerMillion: number;
  /** Null when cached input costs what other input costs. */
  readonly cachedInputPerMillion: number | null;
  readonly outputPerMillion: number;
  /** Other rates for prompts above a size, smallest first. */
  readonly contextTiers: readonly (Omit<Rates, 'contextTiers'> & { readonly aboveInputTokens: number })[];
}

/** Hours of some weekdays, in a time zone; `toMinute` is outside, and a window past midnight is two. */
export interface PriceWindow {
  readonly timeZone: string;
  /** 0 is Sunday, as in Date. */
  readonly days: readonly number[];
  readonly fromMinute: number;
  readonly toMinute: number;
}

/** What one model of one provider costs from a date on. */
export interface RateCard {
  readonly provider: string;
  /** The model and its other names. */
  readonly models: readonly string[];
  readonly effectiveFromMs: number;
  readonly currency: string;
  readonly rates: Rates;
  readonly windows: readonly { readonly window: PriceWindow; readonly rates: Rates }[];
  /** By tier name, such as batch or priority; the default tier is `rates`. */
  readonly serviceTiers: ReadonlyMap<string, Rates>;
  /** Where the price was read, and when. */
  readonly source: string;
  readonly asOf: string;
}

/** Tokens to be priced; cached input is part of input. */
export interface PricedTokens {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
}

/** The moment and manner of a call, as far as prices depend on them. */
export interface PriceMoment {
  readonly atMs: number;
  /** Null, `default`, `standard` or `auto` for the default tier. */
  readonly serviceTier: string | null;
  /** Input tokens of the request; decides the context tier. */
  readonly contextTokens: number;
}

/** The card that holds for a model at a time: the latest one that is effective; null when there is none. */
export function cardAt(
  cards: readonly RateCard[],
  provider: string | null,
  model: string,
  atMs: number,
): RateCard | null {
  let found: RateCard | null = null;
  for (const card of cards) {
    if (provider !== null && card.provider !== provider) continue;
    if (!card.models.includes(model) || card.effectiveFromMs > atMs) continue;
    if (found === null || card.effectiveFromMs > found.effectiveFromMs) found = card;
  }
  return found;
}

/** The rates of a card for one moment; null when it has none for the service tier. */
export function ratesAt(card: RateCard, moment: PriceMoment): Rates | null {
  const tier = isDefaultTier(moment.serviceTier) ? null : moment.serviceTier;
  const timed =
    tier === null
      ? (card.windows.find(({ window }) => isWithinTier(window, moment.atMs))?.rates ?? card.rates)
      : (card.serviceTiers.get(tier) ?? null);
  if (timed === null) return null;
  const context = timed.contextTiers.findLast(
    ({ aboveInputTokens }) => moment.contextTokens > aboveInputTokens,
  );
  return context === undefined ? timed : { ...context, contextTiers: [] };
}

/** The hours by which a card's rates hold at a moment, as people read them; null where they hold at all times. */
export function windowTextAt(card: RateCard, { atMs, serviceTier }: PriceMoment): string | null {
  if (!isDefaultTier(serviceTier) || card.windows.length === 0) return null;
  const found = card.windows.find(({ window }) => isWithinTier(window, atMs));
  return found === undefined ? 'outside its windows' : windowText(found.window);
}

function windowText({ timeZone, days, fromMinute, toMinute }: PriceWindow): string {
  const clock = (minute: number) =>
    `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
  const named = days.length === WEEKDAYS.length ? 'daily' : days.map((day) => WEEKDAYS[day]).join(', ');
  return `${named} ${clock(fromMinute)} to ${clock(toMinute)} ${timeZone}`;
}

/** What tokens cost; a cached token is charged once, at the cached rate. Throws when more is cached than put in. */
export function costOf(rates: Rates, tokens: PricedTokens): number {
  const { inputTokens, cachedTokens, outputTokens } = tokens;
  if (cachedTokens > inputTokens) {
    throw new RangeError(`expected cached tokens among the ${inputTokens} input tokens, got ${cachedTokens}`);
  }
  const cachedRate = rates.cachedInputPerMillion ?? rates.inputPerMillion;
  return (
    ((inputTokens - cachedTokens) * rates.inputPerMillion +
      cachedTokens * cachedRate +
      outputTokens * rates.outputPerMillion) /
    1e6
  );
}

/** Whether a service tier is the one that needs no name. */
export function isDefaultTier(tier: string | null): boolean {
  return tier === null || ['', 'default', 'standard', 'auto'].includes(tier.toLowerCase());
}

/** Whether an instant is within a window, by the clock and calendar of its time zone. */
export function isWithinTier(window: PriceWindow, atMs: number): boolean {
  const { day, minute } = localTime(window.timeZone, atMs);
  return window.days.includes(day) && minute >= window.fromMinute && minute < window.toMinute;
}

const formats = new Map<string, Intl.DateTimeFormat>();
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

function localTime(timeZone: string, atMs: number): { day: number; minute: number } {
  if (timeZone === 'UTC') {
    const date = new Date(atMs);
    return { day: date.getUTCDay(), minute: date.getUTCHours() * 60 + date.getUTCMinutes() };
  }
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
  return {
    day: WEEKDAYS.indexOf(parts.get('weekday') ?? ''),
    minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')),
  };
}
