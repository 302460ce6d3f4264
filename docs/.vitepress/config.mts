import { cpSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { defineConfig } from 'vitepress';

const DOCS = join(import.meta.dirname, '..');
const ROOT = join(DOCS, '..');
/** What documents link to outside their folder; it is copied into the site. */
const SOURCES = ['examples', 'deploy', 'schemas', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE'];

const pages = (...names: readonly string[]) =>
  names.map((name) => ({
    text: name
      .replace(/^.*\//, '')
      .replaceAll('-', ' ')
      .replace(/^./, (c) => c.toUpperCase()),
    link: `/${name}`,
  }));

function isFolder(path: string): boolean {
  return statSync(join(ROOT, path.replace(/#.*$/, '')), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** A page for each folder: a server of static files has nothing else to show for it. */
function listFolder(root: string, path: string): void {
  const entries = readdirSync(join(root, path), { withFileTypes: true });
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  const items = names.map((name) => `<li><a href="${encodeURI(name)}">${name}</a></li>`).join('\n');
  const head = `<meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>${path}</title>`;
  writeFileSync(
    join(root, path, 'index.html'),
    `<!doctype html><html lang="en">${head}<h1>${path}</h1>\n<ul>\n${items}\n</ul></html>\n`,
  );
  for (const entry of entries) if (entry.isDirectory()) listFolder(root, join(path, entry.name));
}

/** The documents as static pages with a search that needs no server: `npm run docs:build`. */
export default defineConfig({
  title: 'Cutover',
  description: 'Moves production LLM traffic from one OpenAI-compatible provider to another, in stages.',
  outDir: join(ROOT, 'dist-site'),
  cacheDir: join(ROOT, 'node_modules', '.cache', 'vitepress'),
  ignoreDeadLinks: [/^\/source\//, /^http:\/\/127\.0\.0\.1/],
  markdown: {
    // Those of the default are fainter than 4.5 to 1 on its ground.
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    config: (markdown) => {
      // Braces of our templates are text, not expressions of the page.
      markdown.renderer.rules.text = (tokens, index) =>
        markdown.utils.escapeHtml(tokens[index]?.content ?? '').replaceAll('{{', '&#123;&#123;');
      const render = markdown.renderer.rules.link_open;
      markdown.renderer.rules.link_open = (tokens, index, options, environment, self) => {
        const token = tokens[index];
        const href = token?.attrGet('href') ?? '';
        const path = join(dirname(environment.relativePath), href);
        if (!/^[a-z]+:|^#/.test(href) && path.startsWith('..')) {
          const target = relative(ROOT, normalize(join(DOCS, path)));
          token?.attrSet('href', `/source/${target}${isFolder(target) ? '/' : ''}`);
          token?.attrSet('target', '_self');
        }
        return (
          render?.(tokens, index, options, environment, self) ?? self.renderToken(tokens, index, options)
        );
      };
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar: [
      {
        text: 'Begin',
        items: pages('concepts', 'quickstart', 'recipes', 'clients', 'endpoints', 'costs', 'leaving'),
      },
      { text: 'Decide', items: pages('assess', 'parity', 'identity', 'statistics', 'capacity', 'training') },
      {
        text: 'Run',
        items: pages(
          'production',
          'runbook',
          'security',
          'console',
          'effects',
          'outcomes',
          'reliability',
          'known-problems',
        ),
      },
      {
        text: 'Reference',
        items: pages('plan-reference', 'configuration-reference', 'benchmarks', 'testing', 'architecture'),
      },
      {
        text: 'Decisions',
        items: pages(
          ...readdirSync(join(DOCS, 'decisions')).map((file) => `decisions/${file.replace(/\.md$/, '')}`),
        ),
      },
    ],
  },
  buildEnd: ({ outDir }) => {
    for (const source of SOURCES) {
      cpSync(join(ROOT, source), join(outDir, 'source', source), { recursive: true });
      if (isFolder(source)) listFolder(join(outDir, 'source'), source);
    }
  },
});
