import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = join(__dirname, '..');

describe('package-lock.json', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { integrity?: string; resolved?: string; optional?: boolean }>;
  };
  const entries = Object.entries(packages).filter(([path]) => path !== '');

  it('says of every package what its bytes are, so that no registry can slip in others', () => {
    expect(entries.length).toBeGreaterThan(300);
    const without = entries.filter(
      ([, { integrity = '' }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity),
    );
    expect(without.map(([path]) => path)).toEqual([]);
  });

  it('names no registry: whichever is configured is asked', () => {
    expect(entries.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });

  it('is installed without running what packages bring along', async () => {
    const { stdout } = await run('npm', ['config', 'get', 'ignore-scripts'], { cwd: ROOT });
    expect(stdout.trim()).toBe('true');
  });
});

describe('images', () => {
  const FILES = ['Dockerfile', 'temporal-docker-compose.yml', 'deploy/kubernetes/gateways.yaml'];
  const imagesIn = (text: string) =>
    [...text.matchAll(/^\s*(?:FROM|(?:- )?image:)\s+(\S+)/gm)].map(([, image = '']) => image);

  it.each(FILES)('have exact versions in %s', (file) => {
    const images = imagesIn(readFileSync(join(ROOT, file), 'utf8'));
    expect(images.length).toBeGreaterThan(0);
    for (const image of images) expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?[\w.-]*(@sha256:[0-9a-f]{64})?$/);
  });

  describe('pinned by tools/pin-images.sh', () => {
    const DIGEST = `sha256:${'ab'.repeat(32)}`;
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'cutover-pins-'));
      for (const file of FILES) copyFileSync(join(ROOT, file), join(folder, basename(file)));
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    /** Runs it with a `crane` that answers so: no registry is in reach of tests. */
    const pin = (answer: string) => {
      writeFileSync(join(folder, 'crane'), `#!/bin/sh\n${answer}\n`);
      chmodSync(join(folder, 'crane'), 0o755);
      const files = FILES.map((file) => basename(file));
      const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
      return run(join(ROOT, 'tools', 'pin-images.sh'), files, { cwd: folder, env });
    };
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');

    it('name the digest of all but our own, and nothing else changes', async () => {
      await pin(`echo ${DIGEST}`);
      for (const file of FILES) {
        const before = readFileSync(join(ROOT, file), 'utf8');
        const after = read(basename(file));
        expect(after.replaceAll(`@${DIGEST}`, '')).toBe(before);
        for (const image of imagesIn(after)) {
          expect([image, image.includes('@')]).toEqual([image, !image.startsWith('cutover:')]);
        }
      }
      const pinned = read('Dockerfile');
      await pin(`echo sha256:${'cd'.repeat(32)}`);
      expect(read('Dockerfile')).toBe(pinned);
    });

    it('stay as they are when one digest cannot be had', async () => {
      await expect(pin('echo no such tag')).rejects.toThrow('expected a digest of');
      for (const file of FILES) expect(read(basename(file))).toBe(readFileSync(join(ROOT, file), 'utf8'));
    });
  });
});
