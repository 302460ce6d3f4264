import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DataConverter, PayloadCodec } from '@temporalio/common';
import { environment } from '../config';
import { BadInput } from '../core/configuration/bad-input';
import { guardedCodec } from './guarded-codec';

/** What clients and workers are given so that payloads pass a user's codec. */
export interface UsersConverter extends DataConverter {
  readonly payloadCodecs: PayloadCodec[];
  /** Texts of failures are payloads too, or they would stand in histories as they are. */
  readonly failureConverterPath: string;
}

/** A module that a user wrote, as far as it is used. */
interface CodecModule {
  readonly payloadCodecs?: unknown;
  readonly payloadConverterPath?: unknown;
  readonly failureConverterPath?: unknown;
  readonly default?: unknown;
}

const loaded = new Map<string, Promise<UsersConverter>>();

/**
 * The codec of the module that is given, or that CUTOVER_DATA_CONVERTER names; null without either. A module exports
 * `payloadCodecs`, a list of codecs as the SDK describes them. Throws `BadInput`.
 */
export async function loadCodec(given: string | undefined): Promise<UsersConverter | null> {
  const path = given ?? environment['CUTOVER_DATA_CONVERTER'];
  if (path === undefined || path === '') return null;
  const file = resolve(path);
  let codec = loaded.get(file);
  if (codec === undefined) {
    codec = load(file);
    loaded.set(file, codec);
  }
  return codec;
}

async function load(file: string): Promise<UsersConverter> {
  const module = (await import(pathToFileURL(file).href).catch((cause: Error) => {
    throw new BadInput(`the data converter ${file} cannot be loaded: ${firstLine(cause)}`, { cause });
  })) as CodecModule;
  const { payloadCodecs, payloadConverterPath, failureConverterPath } = contentOf(module);
  if (payloadConverterPath !== undefined || failureConverterPath !== undefined) {
    throw new BadInput(
      `the data converter ${file} exports converters: expected payloadCodecs only, because workflows are bundled with a converter of their own`,
    );
  }
  if (!Array.isArray(payloadCodecs) || payloadCodecs.length === 0 || !payloadCodecs.every(isCodec)) {
    throw new BadInput(
      `the data converter ${file}: expected it to export payloadCodecs, a list of {encode, decode}, got ${shapeOf(payloadCodecs)}`,
    );
  }
  return {
    payloadCodecs: payloadCodecs.map((codec) => guardedCodec(codec, file)),
    failureConverterPath: require.resolve('./encoded-failures'),
  };
}

/** The exports of the module; those of its default where it has one, as a CommonJS module has for `import`. */
function contentOf(module: CodecModule): CodecModule {
  const { default: given } = module;
  return module.payloadCodecs === undefined && typeof given === 'object' && given !== null ? given : module;
}

function isCodec(value: unknown): value is PayloadCodec {
  if (typeof value !== 'object' || value === null) return false;
  const { encode, decode } = value as Partial<PayloadCodec>;
  return typeof encode === 'function' && typeof decode === 'function';
}

function shapeOf(value: unknown): string {
  if (value === undefined) return 'none';
  if (!Array.isArray(value)) return `a value of type ${typeof value}`;
  return value.length === 0 ? 'an empty list' : 'a list with something else';
}

function firstLine({ message }: Error): string {
  return message.split('\n')[0] as string;
}
