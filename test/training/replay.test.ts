import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { trainingWorkflowIdOf } from '../../src/contract';
import { built } from '../support/cli';

Runtime.install({ logger: new DefaultLogger('ERROR') });

const FOLDER = join(__dirname, '..', 'histories', 'training');

it.each(readdirSync(FOLDER))(
  'replays %s: an open job goes on by the decisions that it has taken',
  async (file) => {
    const history: unknown = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
    const bundle = { workflowBundle: { codePath: built('workflow-bundle.js') } };
    await Worker.runReplayHistory(bundle, history, trainingWorkflowIdOf('tiny'));
  },
);
