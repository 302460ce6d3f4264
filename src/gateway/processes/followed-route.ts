import type { RouteConfiguration } from '../../core/configuration/configuration-schema';
import type { ReportedOutcome } from '../outcomes/outcome';
import { OutcomeIntake } from '../outcomes/outcome-intake';
import { ArmDraw } from '../routing/arm-draw';
import { ConversationTable } from '../routing/conversation-table';
import type { RouteToServe } from '../routing/gateway-routes';
import { MakerTable } from '../routing/maker-table';
import { type InFlightEnd, type RoutingInForce, ServedRoute } from '../routing/served-route';
import type { CountsReport, RouteProgress, RouteStart, SharedKnowledge } from './process-messages';
import { RouteCounts } from './route-counts';

export interface FollowedRouteOptions {
  readonly name: string;
  readonly configuration: RouteConfiguration;
  readonly start: RouteStart;
  readonly drainMs: number;
  readonly now: () => number;
  readonly startedAtMs: number;
  readonly readyAfterMs?: number;
  /** Called after each count. */
  readonly counted: () => void;
  /** Called with each thing that all processes must know. */
  readonly learned: (learned: SharedKnowledge) => void;
  /** Called with the outcomes that arrive here. */
  readonly outcomes: (outcomes: readonly ReportedOutcome[]) => void;
}

/** One route in a process that serves it by what the primary has decided. */
export class FollowedRoute implements RouteToServe {
  readonly name: string;
  readonly configuration: RouteConfiguration;
  readonly state: ServedRoute;
  readonly evidence: RouteCounts;
  readonly makers: MakerTable;
  readonly outcomes: OutcomeIntake;
  readonly #draws: ArmDraw;
  readonly #conversations: ConversationTable;
  #change: number;

  constructor(options: FollowedRouteOptions) {
    const { name, configuration, start, drainMs, now, startedAtMs, learned } = options;
    this.name = name;
    this.configuration = configuration;
    this.evidence = new RouteCounts(options.counted);
    this.outcomes = new OutcomeIntake((outcomes) => {
      options.outcomes(outcomes);
      return [];
    });
    this.makers = new MakerTable({
      path: null,
      warn: () => {},
      announce: (id, maker) => learned({ makers: [[id, maker]], conversations: [] }),
    });
    this.#conversations = new ConversationTable(undefined, (hash, conversation) =>
      learned({ makers: [], conversations: [[hash, conversation]] }),
    );
    this.#draws = new ArmDraw(this.evidence, this.#conversations);
    this.state = new ServedRoute(
      {
        ...{ defaults: configuration, drainMs, now, startedAtMs },
        ...(options.readyAfterMs === undefined ? {} : { readyAfterMs: options.readyAfterMs }),
      },
      this.#draws,
      start.inForce,
    );
    this.#change = start.change;
    this.learn(start.learned);
  }

  /** Follows a change of the routing; what was counted before must have been taken. */
  follow(change: number, inForce: RoutingInForce, inFlight: InFlightEnd): void {
    const { epoch } = this.state;
    this.state.follow(inForce, inFlight);
    this.#change = change;
    if (this.state.epoch !== epoch) this.evidence.beginEpoch();
  }

  /** Takes what another process has learned. */
  learn({ makers, conversations }: SharedKnowledge): void {
    for (const [id, maker] of makers) this.makers.adopt(id, maker);
    for (const [hash, conversation] of conversations) this.#conversations.adopt(hash, conversation);
  }

  /** What was counted here since the last time, null when nothing was. */
  takeCounts(): CountsReport | null {
    return this.evidence.take(this.state.epoch, this.#draws.assigned);
  }

  progress(): RouteProgress {
    const { unsent, inFlight } = this.state.countOlder();
    return { change: this.#change, unsentOlder: unsent, inFlightOlder: inFlight };
  }
}
