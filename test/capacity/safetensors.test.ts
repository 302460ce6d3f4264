import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byteSource } from '../../src/capacity/byte-source';
import { readModelSource } from '../../src/capacity/model-source';
import { readSafetensors } from '../../src/capacity/safetensors';

type Entry = { dtype: string; shape: number[]; data_offsets: number[] };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a safetensors header', () => {
  it('is read with its tensors, and the metadata left out', async () => {
    const path = write('a.safetensors', {
      'model.layers.0.w': { dtype: 'F8_E4M3', shape: [4, 2], data_offsets: [0, 8] },
      'model.layers.0.w_scale_inv': { dtype: 'F32', shape: [1, 1], data_offsets: [8, 12] },
      __metadata__: { format: 'pt' },
    });
    expect(await readSafetensors(byteSource(path))).toEqual([
      { name: 'model.layers.0.w', dtype: 'F8_E4M3', elements: 8, bytes: 8 },
      { name: 'model.layers.0.w_scale_inv', dtype: 'F32', elements: 1, bytes: 4 },
    ]);
  });

  it.each<[string, Record<string, Entry>, number, string]>([
    ['a gap', { a: entry('U8', [2], 1, 3) }, 3, 'there is a gap'],
    ['an overlap', { a: entry('U8', [2], 0, 2), b: entry('U8', [2], 1, 3) }, 3, 'tensors overlap'],
    ['a shape that does not match', { a: entry('F32', [2], 0, 4) }, 4, 'needs 8 bytes, its offsets give 4'],
    ['an unknown dtype', { a: entry('F7', [2], 0, 2) }, 2, 'unknown dtype "F7"'],
    ['data cut short', { a: entry('U8', [9], 0, 9) }, 4, 'holds 4 bytes of data, its header describes 9'],
    ['a shape beyond counting', { a: entry('U8', [2 ** 40, 2 ** 40], 0, 1) }, 1, 'needs'],
    ['a tensor without a shape', { a: { dtype: 'U8' } as Entry }, 0, 'lacks dtype, shape or data_offsets'],
  ])('with %s is refused', async (_, header, dataBytes, message) => {
    const path = write('bad.safetensors', header, dataBytes);
    await expect(readSafetensors(byteSource(path))).rejects.toThrow(message);
  });

  it('that claims to be longer than the file is refused before anything is allocated', async () => {
    const path = join(folder, 'long.safetensors');
    writeFileSync(path, Buffer.concat([lengthPrefix(2n ** 62n), Buffer.from('{}')]));
    await expect(readSafetensors(byteSource(path))).rejects.toThrow(
      'its header claims 4611686018427387904 bytes',
    );
  });

  it.each([
    ['not JSON', '{"a":'],
    ['no object', '[1]'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
  ])('that is %s is refused', async (_, text) => {
    const body = Buffer.from(text as string);
    const path = join(folder, 'broken.safetensors');
    writeFileSync(path, Buffer.concat([lengthPrefix(BigInt(body.length)), body]));
    await expect(readSafetensors(byteSource(path))).rejects.toThrow('is not a safetensors file');
  });

  it('with a tensor named __proto__ is just another tensor', async () => {
    const path = join(folder, 'proto.safetensors');
    const body = Buffer.from('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}');
    writeFileSync(path, Buffer.concat([lengthPrefix(BigInt(body.length)), body, Buffer.alloc(1)]));
    expect(await readSafetensors(byteSource(path))).toHaveLength(1);
    expect(({} as { dtype?: string }).dtype).toBeUndefined();
  });

  it('of a file that ends within the prefix is refused', async () => {
    const path = join(folder, 'tiny.safetensors');
    writeFileSync(path, 'abc');
    await expect(readSafetensors(byteSource(path))).rejects.toThrow('it is truncated');
  });
});

describe('a checkpoint of several shards', () => {
  beforeEach(() => {
    writeFileSync(join(folder, 'config.json'), JSON.stringify(TINY));
    write('one.safetensors', {
      'model.embed_tokens.weight': entry('BF16', [4, 2], 0, 16),
      'model.layers.0.w': entry('F8_E4M3', [2, 2], 16, 20),
      'model.layers.0.w_scale_inv': entry('F32', [1, 1], 20, 24),
    });
    write('two.safetensors', {
      'model.layers.1.w': entry('F8_E4M3', [2, 2], 0, 4),
      'lm_head.weight': entry('BF16', [4, 2], 4, 20),
    });
    writeFileSync(
      join(folder, 'model.safetensors.index.json'),
      JSON.stringify({
        metadata: { total_size: 44 },
        weight_map: {
          'model.embed_tokens.weight': 'one.safetensors',
          'model.layers.0.w': 'one.safetensors',
          'model.layers.0.w_scale_inv': 'one.safetensors',
          'model.layers.1.w': 'two.safetensors',
          'lm_head.weight': 'two.safetensors',
        },
      }),
    );
  });

  const contents = {
    // The tied head is left out, scales are no parameters, and layer 1 of a 1-layer model predicts.
    parameters: 8 + 4,
    predictionParameters: 4,
    elementsByDtype: { BF16: 8, F32: 1, F8_E4M3: 8 },
    scaleElements: 1,
    bytes: 16 + 4 + 4 + 4,
    mainBytes: 24,
    tensors: 4,
  };

  it('is added up from the headers and the config beside it', async () => {
    const source = await readModelSource(join(folder, 'model.safetensors.index.json'));
    expect(source.checkpoint).toEqual(contents);
    expect(source.architecture?.layers).toBe(1);
  });

  it('is read over HTTP with two range requests a shard and no weights', async () => {
    const { server, url, requests } = await serveFolder(folder, 'ranges');
    try {
      const source = await readModelSource(`${url}/model.safetensors.index.json`);
      expect(source.checkpoint).toEqual(contents);
      expect(
        requests.filter(({ path }) => path.endsWith('.safetensors')).map(({ range }) => range),
      ).toHaveLength(4);
    } finally {
      server.close();
    }
  });

  it('is refused over HTTP by a server that would send the weights', async () => {
    const { server, url } = await serveFolder(folder, 'whole');
    try {
      await expect(readModelSource(`${url}/one.safetensors?token=secret`)).rejects.toThrow(
        /one\.safetensors answered 200 to a range request/,
      );
      await expect(readModelSource(`${url}/one.safetensors?token=secret`)).rejects.not.toThrow(/secret/);
    } finally {
      server.close();
    }
  });

  it('is refused when its index names a file elsewhere, or a tensor that no shard holds', async () => {
    const index = join(folder, 'bad.index.json');
    writeFileSync(index, JSON.stringify({ weight_map: { a: '../one.safetensors' } }));
    await expect(readModelSource(index)).rejects.toThrow('expected a plain file name next to it');
    writeFileSync(index, JSON.stringify({ weight_map: { a: 'one.safetensors' } }));
    await expect(readModelSource(index)).rejects.toThrow('names tensor "a", which no shard holds');
  });
});

it('does not guess the parameters of integer-packed weights', async () => {
  const path = write('awq.safetensors', { 'layers.0.qweight': entry('I32', [4], 0, 16) });
  const { checkpoint } = await readModelSource(path);
  expect(checkpoint).toMatchObject({ parameters: null, bytes: 16 });
});

it('names the built-in models when there is no such file', async () => {
  await expect(readModelSource('deepseek-v9')).rejects.toThrow(
    'neither a file nor a built-in model (deepseek-v3',
  );
});

const TINY = {
  model_type: 'llama',
  hidden_size: 2,
  num_hidden_layers: 1,
  intermediate_size: 2,
  num_attention_heads: 1,
  vocab_size: 4,
  tie_word_embeddings: true,
};

function entry(dtype: string, shape: number[], start: number, end: number): Entry {
  return { dtype, shape, data_offsets: [start, end] };
}

function lengthPrefix(bytes: bigint): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(bytes);
  return prefix;
}

function write(name: string, header: Record<string, unknown>, dataBytes?: number): string {
  const body = Buffer.from(JSON.stringify(header));
  const ends = Object.values(header).map((value) => (value as Partial<Entry>).data_offsets?.[1] ?? 0);
  const path = join(folder, name);
  writeFileSync(
    path,
    Buffer.concat([lengthPrefix(BigInt(body.length)), body, Buffer.alloc(dataBytes ?? Math.max(...ends))]),
  );
  return path;
}

async function serveFolder(
  root: string,
  mode: 'ranges' | 'whole',
): Promise<{ server: Server; url: string; requests: { path: string; range: string | undefined }[] }> {
  const { readFileSync } = await import('node:fs');
  const requests: { path: string; range: string | undefined }[] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    requests.push({ path, range: request.headers.range });
    const body = readFileSync(join(root, path));
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    if (range === null || mode === 'whole') {
      response.end(body);
      return;
    }
    const part = body.subarray(Number(range[1]), Number(range[2]) + 1);
    response.writeHead(206, { 'content-range': `bytes ${range[1]}-${range[2]}/${body.length}` }).end(part);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}
