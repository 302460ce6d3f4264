const HEADERS_END = Buffer.from('\r\n\r\n');
const MAX_PARTS = 64;
const MAX_PART_HEADERS = 4_096;
const MAX_VALUE = 512;

/**
 * The `model` and `stream` fields of a multipart body, read without touching anything else of it; null when
 * there is no model to be found. The body itself is forwarded byte for byte.
 */
export function readMultipartModel(
  contentType: string,
  body: Buffer,
): { readonly model: string; readonly stream: boolean } | null {
  const boundary = boundaryOf(contentType);
  if (boundary === null) return null;
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');
  let model: string | null = null;
  let stream = false;
  let at = body.indexOf(delimiter);
  for (let part = 0; part < MAX_PARTS && at >= 0; part += 1) {
    const start = at + delimiter.length;
    const next = body.indexOf(delimiter, start);
    if (next < 0) break;
    const headersEnd = body.indexOf(HEADERS_END, start);
    if (headersEnd >= 0 && headersEnd < next && headersEnd - start <= MAX_PART_HEADERS) {
      const name = fieldName(body.toString('latin1', start, headersEnd));
      const from = headersEnd + HEADERS_END.length;
      const value = () => body.toString('utf8', from, Math.min(next - 2, from + MAX_VALUE));
      if (name === 'model') model = value();
      else if (name === 'stream') stream = value() === 'true';
    }
    at = next;
  }
  return model === null || model === '' ? null : { model, stream };
}

function boundaryOf(contentType: string): string | null {
  const match = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType);
  return match?.[1] ?? match?.[2] ?? null;
}

/** The name of a form field, null for a file part. */
function fieldName(headers: string): string | null {
  for (const line of headers.split('\r\n')) {
    if (!line.toLowerCase().startsWith('content-disposition:')) continue;
    if (/;\s*filename\*?=/i.test(line)) return null;
    return /;\s*name="([^"]{0,100})"/i.exec(line)?.[1] ?? null;
  }
  return null;
}
