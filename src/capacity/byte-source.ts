import { open } from 'node:fs/promises';
import { BadInput } from '../core/configuration/bad-input';
import { guardedFetch } from '../guarded-fetch';

/** Something that can be read in pieces: a local file, or a URL that answers range requests. */
export interface ByteSource {
  readonly name: string;
  /** Exactly `length` bytes from `offset`, and the size of the whole; throws when it ends before. */
  read(offset: number, length: number): Promise<{ bytes: Buffer; totalBytes: number }>;
}

/** What the reader needs of `fetch`. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal },
) => Promise<Response>;

/** A source for a path or an http(s) URL. */
export function byteSource(location: string, fetchUrl: Fetch = guardedFetch): ByteSource {
  return isUrl(location) ? urlSource(location, fetchUrl) : fileSource(location);
}

/** Whether a location is an http(s) URL rather than a path. */
export function isUrl(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

function fileSource(path: string): ByteSource {
  return {
    name: path,
    async read(offset, length) {
      const file = await open(path, 'r');
      try {
        const { size } = await file.stat();
        if (offset + length > size) throw new BadInput(cutShort(path, offset + length, size));
        const bytes = Buffer.alloc(length);
        await file.read(bytes, 0, length, offset);
        return { bytes, totalBytes: size };
      } finally {
        await file.close();
      }
    },
  };
}

function urlSource(url: string, fetchUrl: Fetch): ByteSource {
  const shown = withoutQuery(url);
  return {
    name: shown,
    async read(offset, length) {
      const abort = new AbortController();
      const deadline = setTimeout(() => abort.abort(), 60_000);
      try {
        const response = await fetchUrl(url, {
          headers: { range: `bytes=${offset}-${offset + length - 1}` },
          signal: abort.signal,
        });
        const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
        if (response.status !== 206 || total === undefined) {
          // A server that ignores the range would send the weights themselves.
          abort.abort();
          throw new BadInput(
            `${shown} answered ${response.status} to a range request; expected 206 with a content-range`,
          );
        }
        const bytes = Buffer.from(await response.arrayBuffer());
        if (bytes.length !== length) throw new BadInput(cutShort(shown, offset + length, Number(total)));
        return { bytes, totalBytes: Number(total) };
      } finally {
        clearTimeout(deadline);
      }
    },
  };
}

/** Signed URLs carry credentials in their query, which messages must not show. */
function withoutQuery(url: string): string {
  const parsed = new URL(url);
  return `${parsed.origin}${parsed.pathname}`;
}

function cutShort(name: string, wanted: number, size: number): string {
  return `${name} ends at byte ${size}, expected at least ${wanted}: it is truncated or not a safetensors file`;
}
