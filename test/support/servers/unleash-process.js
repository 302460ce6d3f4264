// Runs in the folder where unleash-server is installed; prints its port once it answers.
const { createRequire } = require('node:module');
const { join } = require('node:path');

const [folder, databaseUrl, port, token] = process.argv.slice(2);
const unleash = createRequire(join(folder, 'package.json'))('unleash-server');
const initApiTokens = [
  { environment: '*', projects: ['*'], secret: token, type: 'admin', tokenName: 'tests' },
];

unleash
  .start({
    databaseUrl,
    db: { ssl: false },
    server: { host: '127.0.0.1', port: Number(port) },
    authentication: { initApiTokens },
    logLevel: 'error',
    versionCheck: { enable: false },
    telemetry: false,
  })
  .then(() => console.log('unleash answers'));
