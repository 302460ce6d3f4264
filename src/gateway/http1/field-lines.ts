import { MessageError } from './message-error';

/** Grammar of RFC 9110, 5.5 and 5.6.2, as parts of regular expressions over latin1 text. */
export const HTTP_TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
export const VALUE = '[\\t\\x20-\\x7e\\x80-\\xff]*';
/** Any number of complete field lines; a line that begins with a blank (obs-fold) is none. */
export const FIELD_LINES = `(?:${HTTP_TOKEN}:${VALUE}\\r\\n)*`;

const NAME_ALONE = new RegExp(`^${HTTP_TOKEN}$`);
const VALUE_ALONE = new RegExp(`^${VALUE}$`);

const SPACE = 32;
const TAB = 9;

/** What the field lines of a head say, as far as it decides how the message is framed. */
export class Fields {
  /** Flat list of names and values, as they came. */
  readonly list: string[] = [];
  /** -1 without Content-Length. */
  contentLength = -1;
  /** `Transfer-Encoding: chunked`. */
  chunked = false;
  /** Names of Connection, null without it. */
  connection: string | null = null;
  /** Value of Keep-Alive, null without it. */
  keepAlive: string | null = null;
  expect: string | null = null;
  upgrade: string | null = null;
}

/**
 * Reads field lines whose characters have been checked already. Throws `MessageError` for a length or a coding that
 * two readers could understand differently: more than one of either, both, signs, lists, other codings.
 */
export function readHeaderFields(text: string, from: number): Fields {
  const fields = new Fields();
  const { list } = fields;
  let codings = 0;
  let start = from;
  while (start < text.length) {
    const end = text.indexOf('\r\n', start);
    const colon = text.indexOf(':', start);
    const name = text.slice(start, colon);
    const value = trimmed(text, colon + 1, end);
    list.push(name, value);
    start = end + 2;
    switch (name.length) {
      case 6:
        if (isNamed(name, 'expect')) fields.expect = value;
        break;
      case 7:
        if (isNamed(name, 'upgrade')) fields.upgrade = value;
        break;
      case 10:
        if (isNamed(name, 'connection')) {
          fields.connection = fields.connection === null ? value : `${fields.connection},${value}`;
        } else if (isNamed(name, 'keep-alive')) fields.keepAlive = value;
        break;
      case 14:
        if (!isNamed(name, 'content-length')) break;
        if (fields.contentLength >= 0) throw new MessageError('expected one Content-Length, got more');
        refuseTab(text, colon, end);
        fields.contentLength = lengthOf(value);
        break;
      case 17:
        if (!isNamed(name, 'transfer-encoding')) break;
        refuseTab(text, colon, end);
        codings += 1;
        if (codings > 1 || value.toLowerCase() !== 'chunked') {
          throw new MessageError('expected Transfer-Encoding: chunked, got another coding');
        }
        fields.chunked = true;
    }
  }
  if (fields.chunked && fields.contentLength >= 0) {
    throw new MessageError('expected Content-Length or Transfer-Encoding, got both');
  }
  return fields;
}

/** Whether name and value make a field line. Tested apart: joined they would first be copied into one text. */
export function isField(name: string, value: string): boolean {
  return NAME_ALONE.test(name) && VALUE_ALONE.test(value);
}

/** Whether a list of Connection holds an option. */
export function hasOption(connection: string | null, option: string): boolean {
  if (connection === null) return false;
  const options = connection.toLowerCase();
  return options.includes(option) && options.split(',').some((each) => each.trim() === option);
}

function isNamed(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower;
}

/** A tab around a value is a blank by RFC 9110, and a part of the value to some readers (llhttp among them). */
function refuseTab(text: string, from: number, to: number): void {
  const tab = text.indexOf('\t', from);
  if (tab >= 0 && tab < to) throw new MessageError('expected no tab next to the framing of a message');
}

/** Fifteen digits are exact in a double. */
const LENGTH = /^\d{1,15}$/;

function lengthOf(value: string): number {
  if (!LENGTH.test(value)) throw new MessageError('expected digits as Content-Length');
  return Number(value);
}

/** Text between two places without the blanks around it. */
function trimmed(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
