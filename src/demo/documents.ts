import { parse as parseYaml } from 'yaml';
import { type Configuration, configurationSchema } from '../core/configuration/configuration-schema';
import { parseDocument } from '../core/configuration/schema-parts';
import type { Plan } from '../core/plan/plan';
import { planSchema } from '../core/plan/plan-schema';

// What the plans of the demo have in common.
const RHYTHM = `holdback: 20%
lease: 6s
renewal: 1s
watchHeartbeat: 5s
probes: { interval: 500ms, timeout: 5s }
`;
const ASSESS = `  - name: assess
    minimumSample: 5
    window: 1s
    deadline: { hold: 60s }
`;
const NO_BURN_IN = 'burnIn: { time: 0s, requests: 0 }';
const UNKEYED = `minimumKeys: 0
    ${NO_BURN_IN}
    deadline: { hold: 60s, rollback: 2m }`;
const WIDE_RATES = `errors: { rollbackRatio: 3, promotionExcess: 0.15 }
      answers: { rollbackRatio: 3, promotionExcess: 0.15, minimum: 20 }`;
const NARROW_RATES = `errors: { rollbackRatio: 3, promotionExcess: 0.05 }
      answers: { rollbackRatio: 3, promotionExcess: 0.05, minimum: 20 }`;
const PROBED = `floor: { success: 0.9 }
      probes: { rollbackStreak: 5, promotionStreak: 4 }`;

/**
 * The demo's own plan: seconds in place of days, and margins wide enough to be decided within them. Without errors
 * 27 candidate requests show that they are within 15 points, 85 within 5. Medians are judged in place of p95: a busy
 * machine's pauses make p95 of a few hundred local answers say more about the machine than about a provider. A fifth
 * stays at legacy through complete: of a twentieth too few would come within its seconds.
 */
const DEMO_PLAN_YAML = `route: chat
${RHYTHM}stages:
${ASSESS}  - name: canary
    soak: 9s
    window: 2s
    minimumSample: 80
    ${UNKEYED}
    gates: &wide
      ${WIDE_RATES}
      latency: { quantile: 0.5, rollbackIncrease: 2, promotionIncrease: null }
      interToken: { rollbackIncrease: 3 }
      ${PROBED}
  - name: rolling
    soak: 20s
    window: 2s
    minimumSample: 400
    ${UNKEYED}
    gates:
      <<: *wide
      ${NARROW_RATES}
      latency: { quantile: 0.5, rollbackIncrease: 3, promotionIncrease: 2 }
  - name: complete
    soak: 6s
    window: 2s
    minimumSample: 300
    ${NO_BURN_IN}
    deadline: { hold: 60s }
    gates:
      <<: *wide
      ${NARROW_RATES}
      latency: { quantile: 0.5, rollbackIncrease: 20, promotionIncrease: 10 }
`;

/**
 * The demo's plan as text; with the file of a reference it asks which model the candidate serves, twice a second, and
 * leaves its canary early: what is to be seen comes in rolling.
 */
function swapPlanYaml(reference: string): string {
  return DEMO_PLAN_YAML.replace('stages:', `identity: { reference: '${reference}', perHour: 7200 }\nstages:`)
    .replace('soak: 9s', 'soak: 4s')
    .replace('minimumSample: 80', 'minimumSample: 30')
    .replace(
      'errors: { rollbackRatio: 3, promotionExcess: 0.15 }',
      'errors: { rollbackRatio: 3, promotionExcess: 0.3 }',
    )
    .replace('answers: { rollbackRatio: 3, promotionExcess: 0.15, minimum: 20 }', 'answers: null');
}

/**
 * The plan of the scenario fine-tuned: fewer stages and fewer requests, because every answer is computed by a model on
 * this machine, and the identity that the candidate has to state.
 */
function tunedPlanYaml(digest: string): string {
  return `route: chat
identity: { declared: '${digest}' }
${RHYTHM}handover: { probe: false } # a context of 256 tokens is too short for it
stages:
${ASSESS}  - name: canary
    share: 25%
    soak: 6s
    window: 2s
    minimumSample: 40
    ${UNKEYED}
    gates: &wide
      ${WIDE_RATES}
      latency: { quantile: 0.5, rollbackIncrease: 20, promotionIncrease: null }
      interToken: { rollbackIncrease: 20 }
      ${PROBED}
  - name: complete
    soak: 6s
    window: 2s
    minimumSample: 100
    ${NO_BURN_IN}
    deadline: { hold: 60s }
    gates: *wide
`;
}

/** What the demo's plan asks to see of the candidate's identity: the file of a reference, or a digest, or nothing. */
interface DemoIdentity {
  readonly reference: string | null;
  readonly declared: string | null;
}

/** The plan of a demo as text. */
export function demoPlanYaml({ reference, declared }: DemoIdentity): string {
  if (declared !== null) return tunedPlanYaml(declared);
  return reference === null ? DEMO_PLAN_YAML : swapPlanYaml(reference);
}

/** The same, parsed like any other. */
export function demoPlan(identity: DemoIdentity): Plan {
  return parseDocument(planSchema, parseYaml(demoPlanYaml(identity), { merge: true }), "the demo's plan");
}

export interface DemoAddresses {
  /** Base URLs with /v1. */
  readonly legacyUrl: string;
  readonly candidateUrl: string;
  readonly gateways: readonly { readonly name: string; readonly data: string; readonly admin: string }[];
}

/** The demo's configuration as text; `settled` is what an operator changes when the migration is done. */
export function demoConfigurationYaml(addresses: DemoAddresses, settled: 'legacy' | 'candidate'): string {
  const gateways = addresses.gateways.map(
    ({ name, data, admin }) => `  - { name: ${name}, data: '${data}', admin: '${admin}' }`,
  );
  return `providers:
  legacy-llm: { baseUrl: '${addresses.legacyUrl}', auth: { bearer: env:LEGACY_KEY } }
  candidate-llm: { baseUrl: '${addresses.candidateUrl}', auth: { bearer: env:CANDIDATE_KEY } }
routes:
  chat:
    legacy: legacy-llm
    candidate: candidate-llm
    models: { large-chat: large-chat-fp8 }
    stickyKey: none
    settled: ${settled}
gateways:
${gateways.join('\n')}
`;
}

/** The demo's configuration for one gateway or the worker; each gateway has its own folder for its records. */
export function demoConfiguration(
  addresses: DemoAddresses,
  settled: 'legacy' | 'candidate',
  stateDirectory: string,
): Configuration {
  const document = parseYaml(demoConfigurationYaml(addresses, settled)) as object;
  return parseDocument(
    configurationSchema,
    { ...document, gateway: { stateDirectory } },
    "the demo's configuration",
  );
}
