import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawPicture } from '../tools/draw-picture';

const FOLDER = join(__dirname, '..', 'docs', 'pictures');

it.each(readdirSync(FOLDER).filter((file) => file.endsWith('.txt')))(
  '%s is drawn as it is written',
  (file) => {
    const text = readFileSync(join(FOLDER, file), 'utf8');
    expect(readFileSync(join(FOLDER, file.replace('.txt', '.svg')), 'utf8')).toBe(drawPicture(text));
  },
);

it.each([
  ['a line that is neither', 'rom a at 0,0: A | a', 'line 1: expected a room or a way'],
  ['a way to nowhere', 'room a at 0,0: A | a\nway a -> b: x', 'line 2: no such room'],
])('refuses %s', (_what, text, problem) => {
  expect(() => drawPicture(text)).toThrow(problem);
});
