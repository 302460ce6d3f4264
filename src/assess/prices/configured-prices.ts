import type { Configuration } from '../../core/configuration/configuration-schema';
import { type PriceBook, parsePriceBook } from './price-book-schema';

/** The source of such a price. */
export const CONFIGURED = 'configuration';

/** The prices that a configuration gives for its providers, as a price book; `asOf` is the date of the reading. */
export function configuredPrices(providers: Configuration['providers'], asOf: string): PriceBook {
  const prices = Object.entries(providers).flatMap(([provider, { prices: models }]) =>
    Object.entries(models).map(([model, rates]) => ({
      provider,
      model,
      input: rates.inputPerMillion,
      ...(rates.cachedInputPerMillion === undefined ? {} : { cachedInput: rates.cachedInputPerMillion }),
      output: rates.outputPerMillion,
      source: CONFIGURED,
      asOf,
    })),
  );
  return parsePriceBook({ version: 1, prices }, 'the prices of the configuration');
}
