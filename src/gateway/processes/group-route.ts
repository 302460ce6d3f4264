import type { EvidenceReading } from '../../core/evidence/evidence';
import type {
  GatewayStatus,
  KillLatch,
  PushAccepted,
  PushRequest,
  RenewRequest,
} from '../../core/routing/routing';
import type { AdministeredRoute } from '../admin/admin';
import type { ReportedOutcome } from '../outcomes/outcome';
import { ConversationTable } from '../routing/conversation-table';
import type { GatewayRoute } from '../routing/gateway-routes';
import type { PushRefusal } from '../routing/push-decision';
import type { ProcessGroup, Round } from './process-group';
import type { CountsReport, RouteStart, SharedKnowledge } from './process-messages';

/** Rounds that are taken anew because a change came between them; the next answer is given as it is. */
const ROUNDS_ANEW = 2;

/** One route that several processes serve: decided and added up here, where the admin listener is. */
export class GroupRoute implements AdministeredRoute {
  readonly #route: GatewayRoute;
  readonly #group: ProcessGroup;
  readonly #conversations = new ConversationTable();
  #change = 0;

  constructor(route: GatewayRoute, group: ProcessGroup) {
    this.#route = route;
    this.#group = group;
  }

  get name(): string {
    return this.#route.name;
  }

  /** What the admin listener calls the state and the evidence of a route is one here: both ask all processes. */
  get state(): this {
    return this;
  }

  get evidence(): this {
    return this;
  }

  get epoch(): number {
    return this.#route.state.epoch;
  }

  get durable(): boolean {
    return this.#route.state.durable;
  }

  heardController(): void {
    this.#route.state.heardController();
  }

  isReady(): boolean {
    return this.#route.state.isReady() && this.#group.serving > 0;
  }

  async status(): Promise<GatewayStatus> {
    return this.statusIn(await this.#round());
  }

  /** Confirmed when every process follows it and, after a lowering, none holds an unsent attempt of an older epoch. */
  async push(request: PushRequest): Promise<PushAccepted | PushRefusal> {
    const taken = await this.#route.state.push(request);
    if ('code' in taken) return taken;
    const round = await this.#round();
    const status = this.statusIn(round);
    const { lowered } = this.#route.state.inForce;
    return {
      confirmed: this.#unknown(round) === 0 && (!lowered || status.unsentOlder === 0),
      durable: status.durable !== false,
      status,
    };
  }

  async renew(request: RenewRequest): Promise<GatewayStatus | PushRefusal> {
    const renewed = this.#route.state.renew(request);
    return 'code' in renewed ? renewed : this.status();
  }

  async kill(latch: KillLatch): Promise<GatewayStatus> {
    await this.#route.state.kill(latch);
    return this.status();
  }

  async clearKill(): Promise<GatewayStatus> {
    await this.#route.state.clearKill();
    return this.status();
  }

  /** Throws `UnknownCursor`. */
  async read(epoch: number, since?: string): Promise<EvidenceReading> {
    await this.#group.round();
    return this.#route.evidence.read(epoch, since);
  }

  async peek(epoch: number): Promise<EvidenceReading> {
    await this.#group.round();
    return this.#route.evidence.peek(epoch);
  }

  /**
   * The status by what processes said in a round. One that gave no answer, or has not read the newest change
   * yet, counts as an attempt that may be unsent: nothing that it does is known.
   */
  statusIn(round: Round): GatewayStatus {
    const status = this.#route.state.status();
    let unsentOlder = this.#unknown(round);
    let inFlightOlder = 0;
    for (const routes of round.standings) {
      unsentOlder += routes[this.name]?.unsentOlder ?? 0;
      inFlightOlder += routes[this.name]?.inFlightOlder ?? 0;
    }
    return { ...status, ready: this.isReady(), unsentOlder, inFlightOlder };
  }

  /** Numbers the change that is about to be sent to all processes. */
  nextChange(): number {
    this.#change += 1;
    return this.#change;
  }

  /** What a process starts with. */
  start(): RouteStart {
    const learned = { makers: this.#route.makers.entries(), conversations: this.#conversations.entries() };
    return { change: this.#change, inForce: this.#route.state.inForce, learned };
  }

  /** Adds what a process has counted. */
  count({ evidence, draws }: CountsReport): void {
    for (const addition of evidence) this.#route.evidence.merge(addition);
    this.#route.state.addDraws(draws);
  }

  /** Counts outcomes that a process was sent, each once in all processes. */
  countOutcomes(outcomes: readonly ReportedOutcome[]): void {
    this.#route.outcomes.count(outcomes);
  }

  /** Keeps what a process has learned. */
  learn({ makers, conversations }: SharedKnowledge): void {
    for (const [id, maker] of makers) this.#route.makers.remember(id, maker);
    for (const [hash, conversation] of conversations) this.#conversations.adopt(hash, conversation);
  }

  async #round(): Promise<Round> {
    for (let anew = 0; ; anew += 1) {
      const round = await this.#group.round();
      if (anew === ROUNDS_ANEW || this.#behind(round) === 0) return round;
    }
  }

  #unknown(round: Round): number {
    return round.silent + this.#behind(round);
  }

  /** Processes that answered before they had read the newest change. */
  #behind({ standings }: Round): number {
    return standings.filter((routes) => (routes[this.name]?.change ?? -1) < this.#change).length;
  }
}
