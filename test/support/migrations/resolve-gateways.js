/**
 * Loaded before a program of a test (`node --require`): the name gateways.test resolves to the addresses that a file
 * lists, one per line, as a headless service does in a cluster.
 */
const dns = require('node:dns/promises');
const { readFileSync } = require('node:fs');

const resolve = dns.lookup;
dns.lookup = async (host, options) => {
  if (host !== 'gateways.test') return resolve(host, options);
  const addresses = readFileSync(process.env.CUTOVER_TEST_HOSTS, 'utf8').split('\n').filter(Boolean);
  if (addresses.length === 0) throw new Error('getaddrinfo ENOTFOUND gateways.test');
  return addresses.map((address) => ({ address, family: 4 }));
};
