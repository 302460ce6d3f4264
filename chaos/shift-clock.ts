/**
 * Preloaded with `node --require`: shifts what JavaScript sees of the wall clock by CHAOS_CLOCK_OFFSET_MS. Monotonic
 * clocks stay, as they do on a machine whose clock is set. SIGUSR2 moves the clock by CHAOS_CLOCK_JUMP_MS, once.
 */
const RealDate = Date;
const startMs = Number(process.env['CHAOS_CLOCK_OFFSET_MS'] ?? 0);
const jumpMs = Number(process.env['CHAOS_CLOCK_JUMP_MS'] ?? 0);
let offsetMs = startMs;
// Not `once`: a library that finds itself alone with a signal ends the process.
process.on('SIGUSR2', () => {
  offsetMs = startMs + jumpMs;
});

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: readonly unknown[], newTarget) =>
    Reflect.construct(target, given.length === 0 ? [RealDate.now() + offsetMs] : given, newTarget) as object,
  apply: () => new RealDate(RealDate.now() + offsetMs).toString(),
  get: (target, property, receiver) =>
    property === 'now' ? () => RealDate.now() + offsetMs : Reflect.get(target, property, receiver),
});
