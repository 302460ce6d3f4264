import type { ReportActivities } from '../contract';
import type { Ports } from '../ports';
import { asFailure } from './failures';

/** Tells what a migration came to as a page and as Markdown, where this worker was given a folder for that. */
export function createWriteReport(ports: Ports): ReportActivities['writeReport'] {
  return async (input) => {
    try {
      const written = await ports.reports.write(input);
      return { files: written === null ? [] : [written.html, written.markdown] };
    } catch (error) {
      throw asFailure(error);
    }
  };
}
