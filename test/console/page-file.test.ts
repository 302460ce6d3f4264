import { join } from 'node:path';
import { loadPageFiles } from '../../src/console/server/page-file';

const PAGE = join(__dirname, '..', '..', 'dist', 'page');

it("writes the page's own commands as they are typed, and leaves the chart library alone", () => {
  const asTyped = (text: string) => text.replaceAll('cutover ui', 'npx cutover ui');
  const script = (files: ReturnType<typeof loadPageFiles>) => files.get('/main.js')?.bytes.toString() ?? '';
  expect(script(loadPageFiles(PAGE))).not.toContain('npx cutover ui');
  const typed = loadPageFiles(PAGE, asTyped);
  expect(script(typed)).toContain('npx cutover ui');
  expect(typed.get('/main.js')?.etag).not.toBe(loadPageFiles(PAGE).get('/main.js')?.etag);
  expect(typed.get('/uPlot.min.css')?.bytes).toEqual(loadPageFiles(PAGE).get('/uPlot.min.css')?.bytes);
});
