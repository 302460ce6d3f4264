import type { LayerSaturation, TrainingCheckpoint } from '../../core/training/fine-tune-state';
import type { TrainingStatus } from '../../core/training/fine-tune-status';
import { gibibytes } from '../../core/training/memory-fit';
import { type ReportDocument, type ReportSection, section } from '../../report/report-document';
import { instantText } from '../options/instant';

const WIDTH = 1000;
const HEIGHT = 260;
const PLOT = { left: 70, right: 14, top: 16, bottom: 30 };

/** What a fine-tuning came to: verdicts, both loss curves, saturation per layer, memory measured beside planned. */
export function trainingReport(
  status: TrainingStatus,
  checkpoints: readonly TrainingCheckpoint[],
): ReportDocument {
  const { trainingId, outcome, verdicts, decisions, exported } = status;
  const tone = outcome === 'exported' ? 'good' : outcome === null ? 'open' : 'bad';
  return {
    title: `Fine-tuning ${trainingId}`,
    status: { text: outcome ?? status.doing, tone },
    sections: [
      section({
        title: 'Gate',
        lines: verdicts.map(
          ({ about, step, outcome: judged, sentence }) => `Step ${step}, as ${about}: ${judged}: ${sentence}`,
        ),
        facts: exported === null ? [] : [['Exported', `${exported.digest} at ${exported.path}`]],
      }),
      curves(checkpoints),
      memory(status),
      saturation(checkpoints),
      section({ title: 'Decisions', table: decisionTable(decisions) }),
    ],
  };
}

function curves(checkpoints: readonly TrainingCheckpoint[]): ReportSection {
  const main = pointsOf(checkpoints, 'main');
  const reference = pointsOf(checkpoints, 'reference');
  const inBf16 = new Map(reference);
  const rows = main.map(([step, loss]) => [
    String(step),
    loss.toFixed(4),
    inBf16.get(step)?.toFixed(4) ?? '',
  ]);
  return section({
    title: 'Loss',
    prose: ['A few steps of each checkpoint; every step is in its metrics.jsonl.'],
    figure: main.length < 2 ? null : lossChart(main, reference),
    table: { head: ['Step', 'Trained', 'BF16'], rows, numeric: [0, 1, 2] },
    folded: true,
  });
}

type Point = readonly [step: number, loss: number];

/** The last curve of each step: what was trained again replaces what was before. */
function pointsOf(checkpoints: readonly TrainingCheckpoint[], lane: TrainingCheckpoint['lane']): Point[] {
  const points = checkpoints.filter((checkpoint) => checkpoint.lane === lane).flatMap(({ curve }) => curve);
  return [...new Map(points)].sort(([a], [b]) => a - b);
}

function lossChart(main: readonly Point[], reference: readonly Point[]): string {
  const all = [...main, ...reference];
  const last = Math.max(...all.map(([step]) => step));
  const most = Math.max(...all.map(([, loss]) => loss));
  const x = (step: number) => PLOT.left + (step / last) * (WIDTH - PLOT.left - PLOT.right);
  const y = (loss: number) => HEIGHT - PLOT.bottom - (loss / most) * (HEIGHT - PLOT.top - PLOT.bottom);
  const at = ([step, loss]: Point) => `${x(step).toFixed(1)} ${y(loss).toFixed(1)}`;
  const dots = reference.map((point) => {
    const [cx, cy] = at(point).split(' ');
    return `<circle class="dot-plain" cx="${cx}" cy="${cy}" r="3"><title>BF16, step ${point[0]}: ${point[1].toFixed(4)}</title></circle>`;
  });
  const grid = [0, 0.5, 1].map(
    (part) =>
      `<line class="grid" x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${y(part * most)}" y2="${y(part * most)}"/>` +
      `<text x="${PLOT.left - 8}" y="${y(part * most) + 4}" text-anchor="end">${(part * most).toFixed(2)}</text>`,
  );
  return (
    `<figure><svg class="wide" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Loss by step">${grid.join('')}` +
    `<path class="asked" d="M${main.map(at).join('L')}"/>${dots.join('')}` +
    `<text x="${WIDTH - PLOT.right}" y="${HEIGHT - 8}" text-anchor="end">step ${last}</text></svg>` +
    '<figcaption>Loss by step: the line is what was trained, dots are BF16 on the same chats.</figcaption></figure>'
  );
}

function memory({ memory: found }: TrainingStatus): ReportSection {
  if (found === null) return section({ title: 'Memory', lines: ['Nothing was planned.'] });
  const { planned, measured } = found;
  const row = (what: string, plan: number, seen: number | undefined) => [
    what,
    gibibytes(plan),
    seen === undefined ? '' : gibibytes(seen),
  ];
  return section({
    title: 'Memory',
    table: {
      head: ['', 'Planned', 'Measured'],
      rows: [
        row('Weights, gradients, moments', planned.stateBytes, measured?.liveBytes),
        row('Within a micro-batch', planned.temporaryBytes, measured?.temporaryBytes),
      ],
      numeric: [1, 2],
    },
  });
}

function saturation(checkpoints: readonly TrainingCheckpoint[]): ReportSection {
  const summed = new Map<string, LayerSaturation>();
  for (const one of checkpoints.flatMap((checkpoint) => checkpoint.saturation)) {
    const key = `${one.layer} ${one.operand}`;
    const before = summed.get(key);
    const add = (field: 'overflow' | 'underflow' | 'elements') => (before?.[field] ?? 0) + one[field];
    summed.set(key, {
      ...one,
      overflow: add('overflow'),
      underflow: add('underflow'),
      elements: add('elements'),
    });
  }
  const part = (count: number, elements: number) => `${((100 * count) / elements).toFixed(4)}%`;
  const rows = [...summed.values()]
    .sort((a, b) => b.overflow / b.elements - a.overflow / a.elements)
    .map(({ layer, operand, overflow, underflow, elements }) => [
      ...[layer, operand, part(overflow, elements), part(underflow, elements)],
    ]);
  return section({
    title: 'Saturation',
    prose: ['The operands of which most was clipped, of each checkpoint the eight worst.'],
    table: {
      head: ['Layer', 'Operand', 'Clipped', 'Flushed to zero'],
      rows,
      numeric: [2, 3],
    },
  });
}

function decisionTable(decisions: TrainingStatus['decisions']): NonNullable<ReportSection['table']> {
  return {
    head: ['No', 'At', 'What', 'Why', 'By'],
    rows: decisions.map(({ seq, atMs, what, reason, by }) => [
      ...[String(seq), instantText(atMs), what, reason, by],
    ]),
    numeric: [0],
  };
}
