import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Configuration, configurationSchema } from '../../core/configuration/configuration-schema';
import type { Dialect } from '../../core/configuration/dialect';
import { parseDocument } from '../../core/configuration/schema-parts';
import type { InitAnswers } from './init-answers';

interface InitDocument extends InitAnswers {
  readonly adminToken: string;
  readonly port: number;
}

/** The configuration of a person's answers, as it is read from its file; throws `InvalidDocument`. */
export function configurationOf(document: InitDocument): Configuration {
  return parseDocument(configurationSchema, documentOf(document), 'the configuration of these answers');
}

/** The file of it, with what to look at next. */
export function configurationText(document: InitDocument): string {
  configurationOf(document);
  return `# docs/configuration-reference.md describes every field. Keys are never written here, only references to them.
${stringify(documentOf(document))}`;
}

/** A plan of minutes in place of days. */
export function quickPlan(route: string): string {
  const file = join(__dirname, '..', '..', '..', '..', 'examples', 'plans', 'quick.yaml');
  return readFileSync(file, 'utf8')
    .replace(/^route: .*$/m, `route: ${route}`)
    .replace(/^# yaml-language-server.*\n/m, '');
}

function documentOf({
  route,
  legacy,
  candidate,
  legacyKey,
  candidateKey,
  dialect,
  models,
  adminToken,
  port,
}: InitDocument) {
  const names = providerNames(legacy, candidate);
  const provider = (baseUrl: string, key: string | null) => ({
    baseUrl,
    ...(dialect === 'openai' ? {} : { dialect }),
    ...(key === null ? {} : { auth: authOf(key, dialect) }),
  });
  return {
    providers: {
      [names.legacy]: provider(legacy, legacyKey),
      [names.candidate]: provider(candidate, candidateKey),
    },
    routes: {
      [route]: {
        legacy: names.legacy,
        candidate: names.candidate,
        models: Object.fromEntries(models),
        settled: 'legacy',
      },
    },
    gateways: [
      { name: 'gateway-1', data: `http://127.0.0.1:${port}`, admin: `http://127.0.0.1:${port + 1}` },
    ],
    adminToken,
  };
}

function authOf(key: string, dialect: Dialect): object {
  return dialect === 'openai' ? { bearer: key } : { header: 'x-api-key', key };
}

/** What people call a provider: the part of its host's name that says who it is, where both have one. */
function providerNames(
  legacy: string,
  candidate: string,
): { readonly legacy: string; readonly candidate: string } {
  const [old, fresh] = [nameIn(legacy), nameIn(candidate)];
  return old === null || fresh === null || old === fresh
    ? { legacy: 'legacy', candidate: 'candidate' }
    : { legacy: old, candidate: fresh };
}

function nameIn(url: string): string | null {
  if (!URL.canParse(url)) return null;
  const { hostname } = new URL(url);
  if (isIP(hostname.replace(/[[\]]/g, '')) !== 0 || !hostname.includes('.')) return null;
  const label = hostname.split('.').find((part) => !['api', 'www'].includes(part));
  return label === undefined || !/^[a-z0-9][a-z0-9-]*$/.test(label) ? null : label;
}
