import type { StateKeeper } from '../../src/gateway/routing/durable-state';
import type { LoadedState, StoredState } from '../../src/gateway/routing/record-file';

/** What a gateway's state directory holds for one route: it can be full, or lost. */
export class ModelDisk implements StateKeeper {
  isFull = false;
  #stored: StoredState | null = null;

  load(): LoadedState {
    return this.#stored === null ? { kind: 'absent' } : { kind: 'sound', state: this.#stored };
  }

  async save(state: StoredState): Promise<void> {
    if (this.isFull) throw new Error('ENOSPC: no space left on device');
    this.#stored = structuredClone(state);
  }

  async probe(): Promise<void> {
    if (this.isFull) throw new Error('ENOSPC: no space left on device');
  }

  /** What an earlier migration left behind. */
  begin(state: StoredState): void {
    this.#stored = state;
  }

  lose(): void {
    this.#stored = null;
  }
}
