import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startTestGateway, type TestGateway } from '../support/gateways/running-gateway';
import { type FaultProvider, startFaultProvider } from '../support/providers/fault-provider';
import { speaksMessages } from '../support/providers/messages-provider';
import { speaks } from '../support/providers/speaking-provider';

const ROOT = join(__dirname, '..', '..');
const SAID = 'Hello from behind the gateway.';
const run = promisify(execFile);

let provider: FaultProvider;
let gateway: TestGateway;
let messagesProvider: FaultProvider;
let messagesGateway: TestGateway;

beforeAll(async () => {
  provider = await startFaultProvider(speaks(SAID));
  gateway = await startTestGateway({ legacyUrl: provider.url, candidateUrl: provider.url });
  messagesProvider = await startFaultProvider(speaksMessages(SAID));
  const spoken = { dialect: 'anthropic', auth: { header: 'x-api-key', key: 'env:KEY' } };
  messagesGateway = await startTestGateway({
    ...{ legacyUrl: messagesProvider.url, candidateUrl: messagesProvider.url },
    ...{ legacy: spoken, candidate: spoken },
  });
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
  await messagesGateway.stop();
  await messagesProvider.stop();
});

/** Blocks of docs/clients.md in these languages, each under its heading. */
function blocks(...languages: readonly string[]): readonly (readonly [heading: string, block: string])[] {
  const text = readFileSync(join(ROOT, 'docs', 'clients.md'), 'utf8');
  return text.split(/^## /m).flatMap((section) => {
    const heading = section.split('\n', 1)[0] ?? '';
    const found = [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)];
    return found
      .filter(([, language]) => languages.includes(language ?? ''))
      .map(([, , block]) => [heading, block ?? ''] as const);
  });
}

const environment = () => ({
  ...process.env,
  OPENAI_BASE_URL: `${gateway.dataUrl}/v1`,
  OPENAI_API_KEY: 'any',
  ANTHROPIC_BASE_URL: messagesGateway.dataUrl,
  ANTHROPIC_API_KEY: 'any',
});

it.each(blocks('js'))(
  '%s gets its answer as the document shows it',
  async (heading, block) => {
    // In the checkout, so that its packages are found.
    const file = join(ROOT, `.documented-${heading.replace(/\W+/g, '-')}-${process.pid}.mjs`);
    writeFileSync(file, block);
    try {
      const { stdout } = await run(process.execPath, [file], { env: environment() });
      expect(stdout.trim()).toBe(SAID);
    } finally {
      rmSync(file);
    }
  },
  60_000,
);

it.each(blocks('sh').filter(([heading]) => heading === 'curl'))(
  '%s gets its answer as the document shows it',
  async (_heading, block) => {
    const { stdout } = await run('bash', ['-euc', block], { env: environment() });
    expect(stdout).toContain(SAID);
  },
);

it('shows these clients', () => {
  const headings = blocks('js', 'sh').map(([heading]) => heading);
  expect(headings.slice(1)).toEqual([
    ...['curl', 'Node: openai', 'Node: AI SDK', 'Node: LangChain'],
    "Clients of Anthropic's API",
  ]);
});
