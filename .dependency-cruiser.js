/** One rule of dependency: core, then contract and ports, then workflows, activities, gateway and assess, then the rest. */
const only = (name, from, allowed, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: from },
  to: { path: '^src/', pathNot: allowed },
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
    only('core-is-alone', '^src/core/', '^src/core/', 'core imports nothing of ours'),
    {
      name: 'core-has-no-io',
      severity: 'error',
      comment: 'core is pure: hashing is the one thing of Node that it uses; zod only in schemas',
      from: { path: '^src/core/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'core-uses-few-packages',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { path: 'node_modules', pathNot: 'node_modules/(zod|jstat|ipaddr\\.js|@noble/hashes|@types)/' },
    },
    only('contract-imports-core', '^src/contract\\.ts$', '^src/core/', 'the contract imports core'),
    only('ports-import-core', '^src/ports\\.ts$', '^src/core/', 'ports import core'),
    only(
      'workflows-import-contract',
      '^src/workflows/',
      '^src/(core/|contract\\.ts$|workflows/)',
      'workflows never import activities, not even as types',
    ),
    {
      name: 'workflow-bundle-has-no-zod',
      severity: 'error',
      comment: 'a zod upgrade can change what is accepted and so break replay',
      from: { path: '^src/workflows/' },
      to: { path: 'node_modules/zod/', reachable: true },
    },
    {
      name: 'training-is-apart',
      severity: 'error',
      comment: 'what moves traffic must not depend on what trains models',
      from: { path: '^src/(core/(?!training/)|gateway/)' },
      to: { path: '^src/core/training/' },
    },
    only(
      'activities-import-ports',
      '^src/activities/',
      '^src/(core/|contract\\.ts$|ports\\.ts$|activities/)',
      'activities see the world through ports',
    ),
    only(
      'gateway-imports-core',
      '^src/gateway/(?!(main|embedded|processes/serving-process)\\.ts$)',
      '^src/(core/|gateway/|schemas/)',
      'the gateway stands alone; its entry points read the configuration',
    ),
    {
      name: 'gateway-without-temporal',
      severity: 'error',
      comment: 'traffic survives an outage of the orchestrator',
      from: { path: '^src/gateway/' },
      to: { path: 'node_modules/@temporalio/' },
    },
    only(
      'history-imports-contract',
      '^src/history/',
      '^src/(core/|contract\\.ts$|report/|history/)',
      'what a history tells needs no Temporal and no worker',
    ),
    only(
      'report-is-alone',
      '^src/report/',
      '^src/(core/|report/)',
      'the form of reports; assess and history write what is in them',
    ),
    only(
      'assess-imports-core',
      '^src/assess/',
      '^src/(core/|(guarded-fetch|optional-package)\\.ts$|report/|assess/)',
      'assess stands alone',
    ),
    only(
      'capacity-imports-core',
      '^src/capacity/',
      '^src/(core/|guarded-fetch\\.ts$|capacity/)',
      'capacity stands alone',
    ),
    only(
      'adapters-import-ports',
      '^src/adapters/',
      '^src/(core/|guarded-fetch\\.ts$|ports\\.ts$|contract\\.ts$|adapters/|assess/|capacity/|parity/|history/|payload-codec/)',
      'one file an outside system; usage logs are one, golden prompts, Temporal histories and training others',
    ),
    only('parity-imports-core', '^src/parity/', '^src/(core/|parity/|schemas/)', 'parity stands alone'),
    only(
      'schemas-are-alone',
      '^src/schemas/',
      '^src/schemas/',
      'a schema from outside, and the thread it runs in',
    ),
    {
      name: 'schemas-are-compiled-in-threads',
      severity: 'error',
      comment: 'a pattern from outside may never end',
      from: {
        path: '^src/',
        pathNot: '^src/(schemas/|parity/schema-thread\\.ts$|gateway/contract/contract-thread\\.ts$)',
      },
      to: { path: '^src/schemas/compile-schema\\.ts$' },
    },
    only(
      'console-views-are-pure',
      '^src/console/(view|page)/',
      '^src/(core/|ports\\.ts$|client/(command-outcome|listed-migration)\\.ts$|console/(view|page)/)',
      'what a screen shows is computed from plain data, and the page is sent to browsers',
    ),
    only(
      'terminal-imports-views',
      '^src/console/terminal/',
      '^src/(core/|console/(view|terminal)/)',
      'drawing is text in, text out',
    ),
    {
      name: 'chaos-checker-stands-alone',
      severity: 'error',
      comment: 'it judges what was logged and exported, and must not share a fault with what wrote it',
      from: { path: '^chaos/checker/' },
      to: { path: '^(src|node_modules)/' },
    },
    {
      name: 'one-importer-of-the-client',
      severity: 'error',
      comment: 'client.ts and its parts are the only importers of @temporalio/client',
      from: { path: '^(src|scripts)/', pathNot: '^src/(client\\.ts|client/|temporal-server/)' },
      to: { path: 'node_modules/@temporalio/client/', dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
