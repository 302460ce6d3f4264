import { join } from 'node:path';
import { type FinishedRequest, GatewayMetrics } from '../../../src/gateway/telemetry/metrics';
import { TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { ADMIN_TOKEN, startTestGateway } from '../../support/gateways/running-gateway';

const root = temporaryDirectory();
const gateway = new TestGateway({
  directory: join(root, 'gw'),
  clock: new TestClock(),
  route: { models: { 'gpt-4o': 'model-b' } },
});

afterAll(() => gateway.close());

function finished(overrides: Partial<FinishedRequest> = {}): FinishedRequest {
  return {
    route: 'main',
    trafficClass: 'randomised',
    provider: 'candidate',
    providerName: 'new',
    operation: 'chat',
    model: 'gpt-4o',
    outcome: 'success',
    totalMs: 300,
    firstTokenMs: null,
    interTokenMs: [],
    tokensIn: 20,
    tokensOut: 5,
    ...overrides,
  };
}

function metricsOfGateway(): GatewayMetrics {
  return new GatewayMetrics(gateway.routes, () => [gateway.state.status()]);
}

function lines(text: string, pattern: RegExp): string[] {
  return text.split('\n').filter((line) => pattern.test(line));
}

describe('metrics', () => {
  it('show the routing asked for and the routing served', async () => {
    await gateway.state.push(gateway.pushRequest({ share: 0.25, epoch: 3 }));
    gateway.options.clock.advance(5_000);
    const text = await metricsOfGateway().metrics();
    expect(text).toContain('cutover_share_asked{route="main"} 0.25');
    expect(text).toContain('cutover_share_effective{route="main"} 0.25');
    expect(text).toContain('cutover_epoch{route="main"} 3');
    expect(text).toContain('cutover_lease_remaining_seconds{route="main"} 40');
    expect(text).toContain('cutover_kill_latched{route="main"} 0');
    gateway.options.clock.advance(40_000);
    const lapsed = await metricsOfGateway().metrics();
    expect(lapsed).toContain('cutover_share_asked{route="main"} 0.25');
    expect(lapsed).toContain('cutover_share_effective{route="main"} 0');
  });

  it('count requests by route, side, provider and outcome', async () => {
    const metrics = metricsOfGateway();
    metrics.requestFinished(finished());
    metrics.requestFinished(finished());
    metrics.requestFinished(finished({ outcome: 'status_5xx' }));
    const counted = lines(await metrics.metrics(), /^cutover_requests_total/);
    expect(counted).toHaveLength(2);
    expect(counted[0]).toMatch(/side="candidate".*gen_ai_provider_name="new".*outcome="success"} 2$/);
    expect(counted[1]).toMatch(/outcome="status_5xx"} 1$/);
  });

  it('name durations and tokens as OpenTelemetry does, in seconds and cumulative buckets', async () => {
    const metrics = metricsOfGateway();
    metrics.requestFinished(finished({ firstTokenMs: 90, interTokenMs: [15, 30], outcome: 'timeout' }));
    const text = await metrics.metrics();
    expect(text).toContain('# TYPE gen_ai_client_operation_duration_seconds histogram');
    const duration = lines(text, /^gen_ai_client_operation_duration_seconds_bucket/);
    expect(duration.find((line) => line.includes('le="0.16"'))).toMatch(/ 0$/);
    expect(duration.find((line) => line.includes('le="0.32"'))).toMatch(/error_type="timeout".* 1$/);
    expect(duration.find((line) => line.includes('le="+Inf"'))).toMatch(/ 1$/);
    expect(text).toMatch(/time_to_first_chunk_seconds_sum\{.*} 0\.09\n/);
    expect(text).toMatch(/time_per_output_chunk_seconds_count\{.*} 2\n/);
    expect(text).toMatch(/gen_ai_client_token_usage_sum\{.*gen_ai_token_type="input"} 20\n/);
  });

  it('stay few, whatever models callers name', async () => {
    const metrics = metricsOfGateway();
    for (let index = 0; index < 1_000; index += 1) metrics.requestFinished(finished({ model: `m-${index}` }));
    metrics.requestFinished(finished({ model: '__proto__' }));
    const counted = lines(await metrics.metrics(), /^cutover_requests_total/);
    expect(counted).toEqual([expect.stringMatching(/gen_ai_request_model="other".* 1001$/)]);
  });
});

it('open to the token for metrics, which opens nothing else', async () => {
  const running = await startTestGateway({
    legacyUrl: 'http://127.0.0.1:1/v1',
    candidateUrl: 'http://127.0.0.1:2/v1',
    configuration: { metricsToken: 'env:CUTOVER_METRICS_TOKEN' },
    secrets: { 'env:CUTOVER_METRICS_TOKEN': 'the-reader-token' },
  });
  try {
    const status = async (path: string, token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(`${running.adminUrl}${path}`, { headers });
      await answer.arrayBuffer();
      return answer.status;
    };
    expect(await status('/metrics', 'the-reader-token')).toBe(200);
    expect(await status('/metrics', ADMIN_TOKEN)).toBe(200);
    expect(await status('/metrics', 'another')).toBe(401);
    expect(await status('/admin/v1/routes', ADMIN_TOKEN)).toBe(200);
    expect(await status('/admin/v1/routes', 'the-reader-token')).toBe(401);
  } finally {
    await running.stop();
  }
});
