import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { BadInput } from '../../../core/configuration/bad-input';
import { type ContentKind, UnreadableUsage } from '../files/content-kind';
import type { RecordedCost, RejectExample } from '../files/usage-source';
import { readZip } from '../files/zip-archive';
import { readDeepSeekExport } from './deepseek-export';
import { CODE_FORMATS, type CodeFormat } from './detection';
import type { NormalizedBucket } from './normalized-bucket';
import { readOpenAiUsage } from './openai-usage';

/** Such a file is held in memory, at several times its size. */
const MAX_CONVERTED_BYTES = 67_108_864;

/** A file whose rows are no rows, as buckets. */
export interface ConvertedFile {
  readonly buckets: readonly NormalizedBucket[];
  readonly costs: readonly RecordedCost[];
  readonly rejects: readonly RejectExample[];
  readonly rows: number;
  readonly cached: boolean;
}

/** Reads an export that needs code; throws UnreadableUsage. */
export async function convertFile(
  file: string,
  format: CodeFormat,
  { gzip, content }: { readonly gzip: boolean; readonly content: ContentKind },
): Promise<ConvertedFile> {
  const { size } = await stat(file);
  if (size > MAX_CONVERTED_BYTES) {
    throw new UnreadableUsage(`${file} has ${size} bytes, far more than a ${CODE_FORMATS[format]} has`);
  }
  try {
    if (format === 'deepseek') {
      const files =
        content.kind === 'zip'
          ? (await readZip(file)).map(({ name, bytes }) => ({ name, text: bytes.toString('utf8') }))
          : [{ name: basename(file), text: await textOf(file, gzip) }];
      return readDeepSeekExport(files);
    }
    const text = await textOf(file, gzip);
    const read = readOpenAiUsage(parseDocuments(text, file), file);
    return { ...read, rejects: [], rows: read.buckets.length + read.costs.length };
  } catch (error) {
    if (error instanceof BadInput) throw new UnreadableUsage(error.message, { cause: error });
    throw error;
  }
}

function parseDocuments(text: string, file: string): unknown {
  const whole = text.replace(/^\ufeff/, '');
  try {
    return JSON.parse(whole);
  } catch {
    return whole
      .split('\n')
      .map((line, at) => ({ line, at: at + 1 }))
      .filter(({ line }) => line.trim() !== '')
      .map(({ line, at }) => {
        try {
          return JSON.parse(line);
        } catch (cause) {
          throw new BadInput(`${file} is neither a JSON document nor one a line: line ${at} does not parse`, {
            cause,
          });
        }
      });
  }
}

async function textOf(file: string, gzip: boolean): Promise<string> {
  // What it unpacks to was counted before.
  const bytes = gzip ? await buffer(createReadStream(file).pipe(createGunzip())) : await readFile(file);
  return bytes.toString('utf8');
}
