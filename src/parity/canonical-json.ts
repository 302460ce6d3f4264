/** JSON with sorted keys and texts normalised, so that equal documents are equal texts. */
export function comparableJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(comparableJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => `${JSON.stringify(name)}:${comparableJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  return JSON.stringify(typeof value === 'string' ? normalised(value) : value) ?? 'null';
}

/** Part of the fields of two documents that are equal, 0 to 1; elements of lists are fields by their position. */
export function equalFields(a: unknown, b: unknown): number {
  const [left, right] = [leavesOf(a), leavesOf(b)];
  const paths = new Set([...left.keys(), ...right.keys()]);
  let equal = 0;
  for (const path of paths) if (left.has(path) && left.get(path) === right.get(path)) equal += 1;
  return equal / paths.size;
}

function leavesOf(value: unknown): Map<string, string> {
  const leaves = new Map<string, string>();
  const visit = (part: unknown, path: string): void => {
    const fields = typeof part === 'object' && part !== null ? Object.entries(part) : [];
    if (fields.length === 0) leaves.set(path, comparableJson(part));
    for (const [name, field] of fields) visit(field, `${path}/${name.replaceAll('/', '~1')}`);
  };
  visit(value, '');
  return leaves;
}

function normalised(text: string): string {
  return text.normalize('NFC').trim().replace(/\s+/g, ' ');
}
