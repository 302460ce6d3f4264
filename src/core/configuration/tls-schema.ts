import { z } from 'zod';
import { referenceSchema } from './schema-parts';

export const listenerTlsSchema = z.strictObject({
  certificate: referenceSchema.describe(
    'Certificate with its chain, in PEM. A file is read again when it changes.',
  ),
  key: referenceSchema.describe('Its private key, in PEM.'),
  clientCa: referenceSchema
    .optional()
    .describe('CA certificates in PEM: clients must show a certificate signed by one of them.'),
});

const adminClientSchema = z
  .strictObject({
    ca: referenceSchema
      .optional()
      .describe(
        "CA certificates in PEM that the gateways' certificates are checked by; the system's when absent.",
      ),
    certificate: referenceSchema.optional().describe('Certificate to show to admin listeners, in PEM.'),
    key: referenceSchema.optional().describe('Its private key, in PEM.'),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    path: ['key'],
    message: 'expected certificate and key, or neither',
  });

/** TLS of Cutover's own listeners. */
export const tlsSchema = z.strictObject({
  data: listenerTlsSchema.optional().describe("The gateways' data listeners; plain HTTP when absent."),
  admin: listenerTlsSchema.optional().describe("The gateways' admin listeners."),
  metrics: listenerTlsSchema.optional().describe("The workers' metrics listeners."),
  console: listenerTlsSchema.optional().describe('The page of `cutover ui`.'),
  adminClient: adminClientSchema
    .optional()
    .describe('How workers and the CLI reach admin listeners that speak TLS.'),
});
