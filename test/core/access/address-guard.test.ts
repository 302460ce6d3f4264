import { addressProblem, guardedLookup, refuseLiteral } from '../../../src/core/access/address-guard';

describe('an address', () => {
  it.each([
    '8.8.8.8',
    '168.63.129.17',
    '100.63.255.255',
    '172.32.0.1',
    '2606:4700::1111',
    '2a00:1450:4001::8',
    '::ffff:8.8.8.8',
    // Through NAT64.
    '64:ff9b::8.8.8.8',
  ])('of the Internet (%s) may be connected to', (address) => {
    expect(addressProblem(address, false)).toBeNull();
  });

  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::10.0.0.1',
    '::8.8.8.8',
    '::ffff:10.0.0.1',
    '::ffff:0:10.0.0.1',
    '::ffff:0:8.8.8.8',
    '64:ff9b::10.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::8.8.8.8',
    '100::1',
    '2001::1',
    '2001:0:808:808::f7f7:f7f7',
    '2001:db8::1',
    '2002:808:808::1',
    '2002:a00:1::1',
    '3fff::1',
    '4000::1',
    '5f00::1',
    'fc00::1',
    'fd12::1',
    'fec0::1',
    'feff::1',
    'ff02::1',
    '2606:4700::5efe:10.0.0.1',
  ])('for a special purpose (%s) may be only where that is configured', (address) => {
    expect(addressProblem(address, false)).toContain('is loopback or private');
    expect(addressProblem(address, true)).toBeNull();
  });

  it.each([
    '169.254.169.254',
    '169.254.0.1',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
    '::169.254.169.254',
    '::a83f:8110',
    '::ffff:169.254.169.254',
    '::ffff:168.63.129.16',
    '::ffff:0:169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::168.63.129.16',
    '64:ff9b:1::169.254.169.254',
    '64:ff9b:1:a9fe:a9:fe00::',
    '2002:a9fe:a9fe::1',
    '2002:a83f:8110::',
    // Teredo: its server, and its client with every bit turned.
    '2001:0:a9fe:a9fe::1',
    '2001:0:808:808:0:0:5601:5601',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'fe80::5efe:8.8.8.8',
    '2606:4700::5efe:169.254.169.254',
    '2606:4700::200:5efe:169.254.169.254',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fd00:42::42',
  ])('that is link-local or holds metadata (%s) never may be', (address) => {
    for (const allowPrivate of [true, false]) {
      expect(addressProblem(address, allowPrivate)).toContain('never connected to');
    }
  });

  it.each(['', 'localhost', '1.2.3', '0x7f.1', '2130706433', '127.1', '1.2.3.4.5', '::g'])(
    'has to be written in full: %s is none or may not be connected to',
    (text) => {
      expect(addressProblem(text, false)).not.toBeNull();
    },
  );
});

it('a host is refused for being such an address, and a name is not', () => {
  expect(refuseLiteral('[::ffff:169.254.169.254]', true)?.code).toBe('FORBIDDEN_ADDRESS');
  expect(refuseLiteral('10.0.0.1', false)?.message).toContain('private');
  expect(refuseLiteral('api.example.com', false)).toBeNull();
});

describe('a name', () => {
  const found = (addresses: readonly string[], all: boolean): Promise<unknown[]> =>
    new Promise((resolve) => {
      const lookup = guardedLookup(
        (_hostname, _options, answer) =>
          answer(
            null,
            addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
          ),
        false,
      );
      lookup('a.example', { all }, (...answer: unknown[]) => resolve(answer));
    });

  it('is connected to by the addresses that were looked at', async () => {
    expect(await found(['8.8.8.8', '2606:4700::1111'], false)).toEqual([null, '8.8.8.8', 4]);
    expect(await found(['8.8.8.8'], true)).toEqual([null, [{ address: '8.8.8.8', family: 4 }]]);
  });

  it('is refused when one of its addresses may not be connected to', async () => {
    const [error] = await found(['8.8.8.8', '::ffff:169.254.169.254'], true);
    expect(error).toMatchObject({ name: 'ForbiddenAddress' });
  });
});
