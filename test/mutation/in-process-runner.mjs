import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

const COMPLETE = 'complete';
const PASSED = 0;
const FAILED = 1;

/**
 * A test runner for Stryker that loads the quick tests once and runs those that reach a mutant, the most promising first,
 * until one fails: a mutant costs milliseconds. Jest, which loads everything anew for each, gives the same answers
 * (`--testRunner jest`).
 */
class InProcessRunner {
  #tests = [];
  #durationMs = new Map();
  #kills = new Map();

  capabilities() {
    return { reloadEnvironment: true };
  }

  async init() {
    this.#load();
  }

  async dryRun() {
    const tests = [];
    for (const test of this.#tests) {
      stryker().currentTestId = test.id;
      const { error, spentMs } = await attempt(test);
      stryker().currentTestId = undefined;
      this.#durationMs.set(test.id, spentMs);
      const result = { id: test.id, name: test.id, timeSpentMs: spentMs };
      tests.push(
        error === null
          ? { ...result, status: PASSED }
          : { ...result, status: FAILED, failureMessage: messageOf(error) },
      );
    }
    return { status: COMPLETE, tests, mutantCoverage: stryker().mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, reloadEnvironment, hitLimit }) {
    const namespace = stryker();
    namespace.hitCount = hitLimit === undefined ? undefined : 0;
    namespace.hitLimit = hitLimit;
    namespace.activeMutant = activeMutant.id;
    try {
      if (reloadEnvironment) this.#load();
      return await this.#tryTests(testFilter);
    } catch (error) {
      // Code that cannot even be loaded fails every test.
      return killed(messageOf(error), this.#tests[0]?.id ?? '', 0);
    } finally {
      namespace.activeMutant = undefined;
      namespace.hitLimit = undefined;
      if (reloadEnvironment) this.#load();
    }
  }

  async #tryTests(testFilter) {
    const chosen = this.#tests
      .filter(({ id }) => testFilter === undefined || testFilter.includes(id))
      .sort((a, b) => this.#patience(a) - this.#patience(b));
    let ran = 0;
    for (const test of chosen) {
      ran += 1;
      const { error } = await attempt(test);
      const { hitCount, hitLimit } = stryker();
      if (hitLimit !== undefined && hitCount > hitLimit) return { status: 'timeout', reason: 'hit limit' };
      if (error !== null) {
        this.#kills.set(test.id, (this.#kills.get(test.id) ?? 0) + 1);
        return killed(messageOf(error), test.id, ran);
      }
    }
    return { status: 'survived', nrOfTests: ran };
  }

  /** Milliseconds that a test costs, less for one that has killed before. */
  #patience({ id }) {
    return (this.#durationMs.get(id) ?? 0) / (1 + (this.#kills.get(id) ?? 0));
  }

  #load() {
    const require = createRequire(join(process.cwd(), 'package.json'));
    loadMutated(require);
    stryker().mutantCoverage ??= { static: {}, perTest: {} };
    const { mutantCoverage } = stryker();
    const loaded = { ...mutantCoverage.static };
    this.#tests = loadTests(require);
    // What only a test file runs while it is loaded needs no loading anew for each of its mutants.
    mutantCoverage.static = loaded;
  }
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'in-process', injectableClass: InProcessRunner }];

function stryker() {
  globalThis.__stryker__ ??= {};
  return globalThis.__stryker__;
}

function killed(failureMessage, testId, nrOfTests) {
  return { status: 'killed', killedBy: [testId], failureMessage, nrOfTests };
}

async function attempt({ run }) {
  const startMs = performance.now();
  let error = null;
  try {
    await run();
  } catch (thrown) {
    error = thrown ?? new Error('something empty was thrown');
  }
  return { error, spentMs: performance.now() - startMs };
}

function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** What is mutated, loaded anew. */
function loadMutated(require) {
  compileTypeScript(require);
  const ours = ['src', 'test'].map((folder) => join(process.cwd(), folder));
  for (const file of Object.keys(require.cache)) {
    if (ours.some((folder) => file.startsWith(folder))) delete require.cache[file];
  }
  const room = join(process.cwd(), 'src/core/migration');
  for (const file of readdirSync(room)) require(join(room, file));
}

/** The tests of the working directory's `quick-tests.ts`, collected by the words that Jest gives to tests. */
function loadTests(require) {
  const { SLOW } = require(join(process.cwd(), 'test/mutation/slow-tests.js'));
  const { bind } = require('jest-each');
  const { expect } = require('expect');
  const tests = [];
  const within = [];
  const hooks = [];
  const describe = (name, body) => {
    within.push(name);
    const outer = hooks.length;
    body();
    hooks.length = outer;
    within.pop();
  };
  const it = (name, body) => {
    const before = [...hooks];
    const run = async () => {
      for (const hook of before) await hook();
      await body();
    };
    if (!SLOW.test(name)) tests.push({ id: [...within, name].join(' '), run });
  };
  describe.each = bind(describe, false);
  it.each = bind(it, true);
  Object.assign(globalThis, { describe, it, test: it, expect, beforeEach: (hook) => hooks.push(hook) });
  require(join(process.cwd(), 'test/mutation/quick-tests.ts'));
  return tests;
}

const compiled = new Map();

function compileTypeScript(require) {
  const { transformSync } = require('@swc/core');
  require.extensions['.ts'] = (module, filename) => {
    let code = compiled.get(filename);
    if (code === undefined) {
      code = transformSync(readFileSync(filename, 'utf8'), {
        filename,
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
      }).code;
      compiled.set(filename, code);
    }
    module._compile(code, filename);
  };
}
