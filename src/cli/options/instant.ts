/** A moment as people read it, in UTC: `2026-07-29 12:00:05Z`. */
export function instantText(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}
