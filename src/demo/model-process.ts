import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type ModelAnswer, RefusedQuestion, type ServedModel, type ServedQuestion } from './served-chat';

type Event = { readonly id: number } & (
  | { readonly event: 'text'; readonly text: string }
  | ({ readonly event: 'done' } & ModelAnswer)
  | { readonly event: 'refused'; readonly message: string }
);

interface QueuedChat {
  readonly onText: (text: string) => void;
  readonly done: (answer: ModelAnswer) => void;
  readonly failed: (error: Error) => void;
}

/** Chats that are answered at once; others wait for a slot. */
const SLOTS = 8;
const STDERR_KEPT = 500;

/** Runs an exported model by `python -m cutover_training generate`; resolves once it is loaded. */
export async function startModel(python: string, folder: string): Promise<ServedModel> {
  const child = spawn(python, ['-m', 'cutover_training', 'generate'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = once(child, 'close');
  exited.catch(() => undefined);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-STDERR_KEPT);
  });
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${JSON.stringify({ model: folder, slots: SLOTS })}\n`);
  const waiting = new Map<number, QueuedChat>();
  let asked = 0;
  let problem: Error | null = null;
  const digest = await new Promise<string>((resolve, reject) => {
    const end = (error: Error): void => {
      problem = error;
      reject(error);
      for (const each of waiting.values()) each.failed(error);
      waiting.clear();
    };
    child.once('error', end);
    child.once('close', (code, signal) =>
      end(
        new Error(
          `the process of the model ended (${signal ?? code}): ${said.trim().split('\n').at(-1) ?? ''}`,
        ),
      ),
    );
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as
        | Event
        | { readonly event: 'ready'; readonly digest: string }
        | { readonly event: 'error'; readonly message: string };
      if (event.event === 'ready') return resolve(event.digest);
      if (event.event === 'error') return end(new Error(event.message));
      settle(waiting, event);
    });
  });
  return {
    digest,
    ask: ({ messages, maxTokens, temperature }: ServedQuestion, onText) =>
      new Promise((done, failed) => {
        if (problem !== null) return failed(problem);
        asked += 1;
        waiting.set(asked, { onText, done, failed });
        child.stdin.write(`${JSON.stringify({ id: asked, messages, maxTokens, temperature })}\n`);
      }),
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function settle(waiting: Map<number, QueuedChat>, event: Event): void {
  const question = waiting.get(event.id);
  if (question === undefined) return;
  if (event.event === 'text') {
    question.onText(event.text);
    return;
  }
  waiting.delete(event.id);
  if (event.event === 'done') question.done(event);
  else question.failed(new RefusedQuestion(event.message));
}
