import { join } from 'node:path';

/** The workflows of this build, bundled by `tools/bundle-workflows.ts`. */
export const builtWorkflows = { codePath: join(__dirname, '..', 'workflow-bundle.js') };
