import { type Fault, type FaultProvider, startFaultProvider, well } from '../providers/fault-provider';
import { startTestGateway, type TestGateway, type TestGatewayOptions } from './running-gateway';

/** Both providers of a test file, and gateways between them. */
export interface GatewayTrial {
  readonly legacy: FaultProvider;
  readonly candidate: FaultProvider;
  /** A gateway that ends with the test that starts it, or with the file where a hook before all tests does. */
  start(more?: Partial<TestGatewayOptions>): Promise<TestGateway>;
}

/**
 * Two providers for all tests of a file, which answer by these faults: after each test they do so again, and have been
 * asked nothing.
 */
export function gatewayTrial(legacyFault: Fault = well, candidateFault: Fault = legacyFault): GatewayTrial {
  const legacy = new LateProvider(legacyFault);
  const candidate = new LateProvider(candidateFault);
  const ofFile = new Set<TestGateway>();
  const ofTest = new Set<TestGateway>();
  let running = ofFile;
  beforeAll(async () => {
    await legacy.start();
    await candidate.start();
  });
  beforeEach(() => {
    running = ofTest;
  });
  afterEach(async () => {
    for (const gateway of ofTest) await gateway.stop();
    legacy.restore();
    candidate.restore();
  });
  afterAll(async () => {
    for (const gateway of ofFile) await gateway.stop();
    await legacy.stop();
    await candidate.stop();
  });
  return {
    legacy,
    candidate,
    async start(more = {}) {
      const urls = { legacyUrl: legacy.url, candidateUrl: candidate.url };
      const started = await startTestGateway({ ...urls, ...more });
      const owners = running;
      const gateway = {
        ...started,
        stop() {
          owners.delete(gateway);
          return started.stop();
        },
      };
      owners.add(gateway);
      return gateway;
    },
  };
}

/** A provider that is there before it listens, so that tests can name it without waiting for it. */
class LateProvider implements FaultProvider {
  #provider: FaultProvider | null = null;

  constructor(private readonly usual: Fault) {}

  async start(): Promise<void> {
    this.#provider = await startFaultProvider(this.usual);
  }

  restore(): void {
    this.fault = this.usual;
    this.bodies.length = 0;
  }

  get url(): string {
    return this.#started.url;
  }

  get fault(): Fault {
    return this.#started.fault;
  }

  set fault(fault: Fault) {
    this.#started.fault = fault;
  }

  get bodies(): string[] {
    return this.#started.bodies;
  }

  get aborts(): number {
    return this.#started.aborts;
  }

  stop(): Promise<void> {
    return this.#started.stop();
  }

  get #started(): FaultProvider {
    if (this.#provider === null) throw new Error('expected a provider that was started before all tests');
    return this.#provider;
  }
}
