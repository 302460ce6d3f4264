import { type Browser, chromium } from 'playwright-core';
import { installedProgram } from './servers/debian-program';

/** A headless Chromium, of Debian's package where there is none. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = await installedProgram({
    program: 'chromium',
    package: 'chromium',
    path: 'usr/bin/chromium',
  });
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}
