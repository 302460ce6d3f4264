/** Something with bytes to write. */
export interface Writer {
  writeOut(): void;
}

let waiting: Writer[] = [];
let planned = false;

/**
 * Has bytes written once everything that has arrived is handled, in the same turn of the event loop. The other ends
 * then wake once for many writes: written between two reads, each woke its reader anew, which costs more than the
 * write itself.
 */
export function writeThisTurn(writer: Writer): void {
  waiting.push(writer);
  if (planned) return;
  planned = true;
  setImmediate(writeAll);
}

function writeAll(): void {
  const writers = waiting;
  waiting = [];
  planned = false;
  for (const writer of writers) {
    try {
      writer.writeOut();
    } catch (error) {
      // A defect of one must not keep the bytes of the others; it is reported as any that no guard met.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
