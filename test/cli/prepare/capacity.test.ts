import { registerCapacity } from '../../../src/cli/prepare/capacity';
import { runCommand } from '../../support/command-run';

const run = (...words: string[]) => runCommand(registerCapacity, 'capacity', ...words);

it('prints parameters, cache, deployments and training memory of a built-in model', async () => {
  const text = await run('deepseek-v3');
  expect(text).toContain('671,026,419,200');
  expect(text).toContain('688.57 GB (641.3 GiB)');
  expect(text).toContain('70,272 B');
  expect(text).toContain('57 times too much');
  expect(text).toContain('fp8 (stored only, W8A16)');
  expect(text).toContain('8.72 TB');
  expect(text).toContain('cost: not computed');
});

it('prints the break-even against an API price', async () => {
  const text = await run(
    ...[
      'deepseek-v3',
      '--gpu',
      'H200',
      '--gpu-hour-usd',
      '3',
      '--tokens-per-second',
      '20000',
      '--api-price',
      '0.42',
    ],
  );
  expect(text).toContain('15,874 tokens/s');
  expect(text).toContain('busy 79% of the time');
  expect(text).toContain('never: it would need');
});

it("prints the article's claims alone or beside a plan", async () => {
  expect(await run('--check-article')).toContain('CONTRADICTED: 8 x H100 instead of 16 x A100');
  expect(JSON.parse(await run('qwen3-8b', '--check-article', '--json'))).toMatchObject({
    attention: 'GQA',
    claims: expect.any(Array),
  });
});

it('plans for a GPU that is given by its memory', async () => {
  const plan = JSON.parse(await run('llama-3-70b', '--gpu', 'L40S=46068', '--json'));
  expect(plan.formats[0].fits).toHaveLength(1);
  expect(plan.formats[0].fits[0]).toMatchObject({ gpu: 'L40S', floorGpus: 2 });
});

it.each([
  [[], 'expected a model'],
  [['no-such-model'], 'neither a file nor a built-in model'],
  [['deepseek-v3', '--gpu', 'V100'], 'expected one of H100'],
  [['deepseek-v3', '--utilization', '1.5'], 'at most 1'],
  [['deepseek-v3', '--context', '0'], 'whole number above 0'],
  [['deepseek-v3', '--api-price', '-1'], 'above 0'],
])('refuses %j', async (words, message) => {
  await expect(run(...words)).rejects.toThrow(message);
});
