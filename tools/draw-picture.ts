import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Draws a picture of rooms and ways from its text, as SVG beside it: `node dist/tools/draw-picture.js PICTURE.txt`.
 * Rooms stand on a grid; a way is a straight line from edge to edge.
 */
interface Room {
  readonly column: number;
  readonly row: number;
  readonly title: string;
  readonly text: string;
}

const CELL = { width: 330, height: 150 };
const BOX = { width: 230, height: 74 };
const MARGIN = 24;

const ROOM = /^room (\w+) at (\d+),(\d+): (.+?) \| (.+)$/;
const WAY = /^way (\w+) -> (\w+): (.+)$/;

export function drawPicture(text: string): string {
  const rooms = new Map<string, Room>();
  const ways: { from: Room; to: Room; label: string }[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const room = ROOM.exec(line);
    const way = WAY.exec(line);
    if (room !== null) {
      const [, name = '', column, row, title = '', what = ''] = room;
      rooms.set(name, { column: Number(column), row: Number(row), title, text: what });
    } else if (way !== null) {
      const [from, to] = [rooms.get(way[1] ?? ''), rooms.get(way[2] ?? '')];
      if (from === undefined || to === undefined) throw new Error(`line ${index + 1}: no such room: ${line}`);
      ways.push({ from, to, label: way[3] ?? '' });
    } else throw new Error(`line ${index + 1}: expected a room or a way, got: ${line}`);
  }
  const all = [...rooms.values()];
  const width = Math.max(...all.map(({ column }) => column)) * CELL.width + BOX.width + 2 * MARGIN;
  const height = Math.max(...all.map(({ row }) => row)) * CELL.height + BOX.height + 2 * MARGIN;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="Rooms and ways">` +
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#5c6675"/></marker></defs>' +
    '<style>text{font:13px system-ui,sans-serif;fill:#1c2430}.title{font-weight:650;font-size:14px}.soft{fill:#5c6675;font-size:12px;paint-order:stroke;stroke:#fff;stroke-width:4px}.room{fill:#f6f7f9;stroke:#aab4c2}.way{stroke:#5c6675;fill:none}</style>' +
    `<rect width="${width}" height="${height}" fill="#fff"/>${ways.map(drawWay).join('')}${all.map(drawRoom).join('')}</svg>\n`
  );
}

const left = ({ column }: Room) => MARGIN + column * CELL.width;
const top = ({ row }: Room) => MARGIN + row * CELL.height;

function drawRoom(room: Room): string {
  const middle = left(room) + BOX.width / 2;
  return (
    `<rect class="room" x="${left(room)}" y="${top(room)}" width="${BOX.width}" height="${BOX.height}" rx="6"/>` +
    `<text class="title" x="${middle}" y="${top(room) + 30}" text-anchor="middle">${escaped(room.title)}</text>` +
    `<text x="${middle}" y="${top(room) + 52}" text-anchor="middle">${escaped(room.text)}</text>`
  );
}

function drawWay({ from, to, label }: { from: Room; to: Room; label: string }): string {
  const [start, end] = [edge(from, to), edge(to, from)];
  const [x, y] = [(start.x + end.x) / 2, (start.y + end.y) / 2];
  const level = from.row === to.row;
  return (
    `<path class="way" d="M${start.x} ${start.y}L${end.x} ${end.y}" marker-end="url(#tip)"/>` +
    `<text class="soft" x="${x + (level ? 0 : 8)}" y="${y + (level ? -8 : 4)}" text-anchor="${level ? 'middle' : 'start'}">${escaped(label)}</text>`
  );
}

/** Where a line from a room's middle towards another one leaves it. */
function edge(room: Room, towards: Room): { readonly x: number; readonly y: number } {
  const [dx, dy] = [Math.sign(towards.column - room.column), Math.sign(towards.row - room.row)];
  const [x, y] = [left(room) + BOX.width / 2, top(room) + BOX.height / 2];
  if (dy === 0) return { x: x + (dx * BOX.width) / 2, y };
  return { x: x + (dx * BOX.width) / 4, y: y + (dy * BOX.height) / 2 };
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}

if (require.main === module) {
  const [file] = process.argv.slice(2);
  if (file === undefined) throw new Error('expected a picture, such as docs/pictures/house.txt');
  writeFileSync(file.replace(/\.txt$/, '.svg'), drawPicture(readFileSync(file, 'utf8')));
}
