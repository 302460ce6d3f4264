/** The anchors that a Markdown text's headings get where it is shown. */
export function headingAnchors(markdown: string): string[] {
  return withoutCode(markdown)
    .split('\n')
    .flatMap((line) => {
      const [, title] = /^#{1,6} (.+)$/.exec(line) ?? [];
      return title === undefined ? [] : [anchorOf(title)];
    });
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '');
}
