import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { cacheDirectory } from '../../../src/config';

const VERSION = '1.32.0';
const DOWNLOAD_MS = 20_000;
const MAVEN_MS = 240_000;

/**
 * A Temporal server whose time skips over what nobody works in. The SDK downloads one; where its download cannot be
 * reached, the same server comes from Maven Central into our cache. Throws what is missing for both.
 */
export async function startTimeSkippingServer(): Promise<TestWorkflowEnvironment> {
  const script = join(mavenFolder(), 'server.sh');
  let downloadProblem = '';
  if (!existsSync(script)) {
    try {
      return await withinTime(TestWorkflowEnvironment.createTimeSkipping());
    } catch (error) {
      downloadProblem = (error as Error).message.split('\n')[0]?.slice(0, 200) ?? '';
    }
    try {
      await fetchByMaven();
    } catch (error) {
      throw new Error(
        [
          'expected a time-skipping Temporal server, got none:',
          `  the SDK's own download (https://temporal.download): ${downloadProblem}`,
          `  Maven (needs java and mvn on PATH, and a reachable repository): ${(error as Error).message}`,
        ].join('\n'),
        { cause: error },
      );
    }
  }
  return startScript(script);
}

const STARTS = 5;

/** The SDK waits 5 s and no longer: on a busy machine a cold Java takes more, and a warm one does not. */
async function startScript(path: string): Promise<TestWorkflowEnvironment> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await TestWorkflowEnvironment.createTimeSkipping({
        server: { executable: { type: 'existing-path', path } },
      });
    } catch (error) {
      if (attempt === STARTS) throw error;
    }
  }
}

function mavenFolder(): string {
  return join(cacheDirectory(), `time-skipping-${VERSION}`);
}

/** Whatever comes after the time is torn down again. */
async function withinTime(starting: Promise<TestWorkflowEnvironment>): Promise<TestWorkflowEnvironment> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${DOWNLOAD_MS / 1_000} s`)), DOWNLOAD_MS);
  });
  try {
    return await Promise.race([starting, late]);
  } catch (error) {
    starting.then((environment) => environment.teardown()).catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>cutover</groupId>
  <artifactId>time-skipping</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>${VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;

/** Into a folder of its own first, so that an interrupted fetch leaves nothing that looks finished. */
async function fetchByMaven(): Promise<void> {
  const folder = mavenFolder();
  mkdirSync(cacheDirectory(), { recursive: true });
  const making = mkdtempSync(`${folder}-`);
  try {
    writeFileSync(join(making, 'pom.xml'), POM);
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=jars'];
    await promisify(execFile)('mvn', ['-q', '-B', ...goal], { cwd: making, timeout: MAVEN_MS });
    await promisify(execFile)('java', ['-version']);
    writeFileSync(join(making, 'server.sh'), serverScript(folder), { mode: 0o755 });
    renameSync(making, folder);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    if (existsSync(folder)) return;
    throw error;
  }
}

function serverScript(folder: string): string {
  return `#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -cp '${folder}/jars/*' io.temporal.testserver.TestServer "$@"\n`;
}
