import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { BadInput } from '../core/configuration/bad-input';
import { guardedFetch } from '../guarded-fetch';
import { BUILT_IN_MODELS } from './built-in-models';
import { byteSource, type Fetch, isUrl } from './byte-source';
import type { ModelArchitecture } from './model-architecture';
import { architectureOf } from './model-config';
import {
  type CheckpointContents,
  checkpointContents,
  readSafetensors,
  type TensorEntry,
} from './safetensors';

const MAX_JSON_BYTES = 100_000_000;
const SHARDS_AT_ONCE = 4;

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** What could be learned of a model: its architecture, its stored tensors, or both. */
export interface ModelSource {
  readonly name: string;
  readonly architecture: ModelArchitecture | null;
  readonly checkpoint: CheckpointContents | null;
}

/**
 * Reads a built-in model's name, a config.json, a safetensors file or an index with its shards; by path or URL.
 * The config.json beside a checkpoint is read when it is there, or `configLocation` when given.
 */
export async function readModelSource(
  location: string,
  options: {
    configLocation?: string;
    fetchUrl?: Fetch;
    progress?: (doneShards: number, allShards: number) => void;
  } = {},
): Promise<ModelSource> {
  const builtIn = BUILT_IN_MODELS.get(location.toLowerCase());
  if (builtIn !== undefined) {
    return { name: location, architecture: architectureOf(builtIn, location), checkpoint: null };
  }
  const fetchUrl = options.fetchUrl ?? guardedFetch;
  if (/\.safetensors(?:\?.*)?$/.test(location)) {
    const tensors = await readSafetensors(byteSource(location, fetchUrl));
    return withCheckpoint(location, tensors, await siblingConfig(location, options.configLocation, fetchUrl));
  }
  if (!isUrl(location) && !(await stat(location).catch(() => null))) {
    throw new BadInput(
      `${location} is neither a file nor a built-in model (${[...BUILT_IN_MODELS.keys()].join(', ')})`,
    );
  }
  const document = await readJson(location, fetchUrl);
  const index = indexSchema.safeParse(document);
  if (!index.success) {
    return { name: location, architecture: architectureOf(document, location), checkpoint: null };
  }
  const shards = [...new Set(Object.values(index.data.weight_map))].sort();
  const tensors = await readShards(location, shards, fetchUrl, options.progress ?? (() => {}));
  const missing = Object.keys(index.data.weight_map).find(
    (name) => !tensors.some((tensor) => tensor.name === name),
  );
  if (missing !== undefined)
    throw new BadInput(`${location} names tensor "${missing}", which no shard holds`);
  return withCheckpoint(location, tensors, await siblingConfig(location, options.configLocation, fetchUrl));
}

async function readShards(
  indexLocation: string,
  shards: readonly string[],
  fetchUrl: Fetch,
  progress: (done: number, all: number) => void,
): Promise<TensorEntry[]> {
  const found: TensorEntry[][] = [];
  for (let start = 0; start < shards.length; start += SHARDS_AT_ONCE) {
    const some = shards.slice(start, start + SHARDS_AT_ONCE);
    found.push(
      ...(await Promise.all(
        some.map(async (shard) => [
          ...(await readSafetensors(byteSource(beside(indexLocation, shard), fetchUrl))),
        ]),
      )),
    );
    progress(Math.min(start + SHARDS_AT_ONCE, shards.length), shards.length);
  }
  return found.flat();
}

function withCheckpoint(
  name: string,
  tensors: readonly TensorEntry[],
  architecture: ModelArchitecture | null,
): ModelSource {
  // A tied head that a checkpoint stores anyway is the embedding once more, not further parameters.
  const counted = architecture?.tiedEmbeddings ? tensors.filter((t) => t.name !== 'lm_head.weight') : tensors;
  return { name, architecture, checkpoint: checkpointContents(counted, architecture?.layers ?? null) };
}

async function siblingConfig(
  location: string,
  given: string | undefined,
  fetchUrl: Fetch,
): Promise<ModelArchitecture | null> {
  if (given !== undefined) return architectureOf(await readJson(given, fetchUrl), given);
  const sibling = beside(location, 'config.json');
  if (!isUrl(location)) {
    const there = await stat(sibling).catch(() => null);
    return there === null ? null : architectureOf(await readJson(sibling, fetchUrl), sibling);
  }
  const response = await fetchUrl(sibling, { headers: {}, signal: AbortSignal.timeout(60_000) });
  if (response.status === 404) return null;
  return architectureOf(await jsonBody(response, sibling), sibling);
}

/** A shard's name comes from an untrusted index, so it may only name a file beside it. */
function beside(location: string, name: string): string {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new BadInput(`${location} names the shard "${name}", expected a plain file name next to it`);
  }
  return isUrl(location) ? new URL(name, location).href : join(dirname(location), name);
}

async function readJson(location: string, fetchUrl: Fetch): Promise<unknown> {
  if (isUrl(location)) {
    return jsonBody(await fetchUrl(location, { headers: {}, signal: AbortSignal.timeout(60_000) }), location);
  }
  const { size } = await stat(location);
  if (size > MAX_JSON_BYTES) throw new BadInput(`${location} has ${size} bytes, expected a small JSON file`);
  return parseJson(await readFile(location, 'utf8'), location);
}

async function jsonBody(response: Response, location: string): Promise<unknown> {
  if (!response.ok) throw new BadInput(`${location} answered ${response.status}, expected a JSON document`);
  if (Number(response.headers.get('content-length') ?? 0) > MAX_JSON_BYTES) {
    throw new BadInput(`${location} is longer than ${MAX_JSON_BYTES} bytes, expected a small JSON file`);
  }
  return parseJson(await response.text(), location);
}

function parseJson(text: string, location: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (cause) {
    throw new BadInput(`${location} is not JSON`, { cause });
  }
}
