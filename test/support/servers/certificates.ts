import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority of one test, made by openssl. */
export class Authority {
  readonly #directory: string;
  readonly path: string;
  #made = 0;

  constructor(directory: string, name: string) {
    this.#directory = join(directory, name);
    mkdirSync(this.#directory, { recursive: true });
    this.path = join(this.#directory, 'ca.pem');
    this.#openssl(
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', `/CN=${name}`, '-keyout', 'ca.key', '-out', 'ca.pem'],
    );
  }

  get pem(): string {
    return readFileSync(this.path, 'utf8');
  }

  /** A certificate for names such as `DNS:localhost,IP:127.0.0.1`. */
  issue(names: string): Certificate {
    this.#made += 1;
    const file = `leaf-${this.#made}`;
    writeFileSync(join(this.#directory, `${file}.ext`), `subjectAltName=${names}\n`);
    this.#openssl(
      ...[
        'req',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-subj',
        `/CN=${file}`,
      ],
      ...['-keyout', `${file}.key`, '-out', `${file}.csr`],
    );
    this.#openssl(
      ...['x509', '-req', '-in', `${file}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '2', '-extfile', `${file}.ext`, '-out', `${file}.pem`],
    );
    return {
      certificate: join(this.#directory, `${file}.pem`),
      key: join(this.#directory, `${file}.key`),
    };
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#directory, stdio: 'pipe' });
  }
}
