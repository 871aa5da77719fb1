/** Draws the moves of nodes, leases and placements in docs/states.md. `--check` fails when a diagram is not up to date. */
import type { Move, Moves } from '../src/db/moves';
import { LEASE_MOVES, PLACEMENT_MOVES } from '../src/modules/leases/moves';
import { NODE_MOVES } from '../src/modules/nodes/moves';
import { keepPage } from './lib/page';

/** The diagrams by their heading. */
const DIAGRAMS: Readonly<Record<string, Moves>> = { Node: NODE_MOVES, Lease: LEASE_MOVES, Placement: PLACEMENT_MOVES };

/** A row that does not exist. */
const NONE = '[*]';

const arrowsOf = ({ from, to }: Move): string[] =>
  (from.length === 0 ? [NONE] : from).filter((state) => state !== to).map((state) => `${state} --> ${to ?? NONE}`);

/** One line an arrow: moves between the same two states share it. A move that ends where it starts is not drawn. */
function draw(moves: Moves): string {
  const causes = new Map<string, string[]>();
  for (const move of Object.values(moves)) {
    arrowsOf(move).forEach((arrow) => causes.set(arrow, [...(causes.get(arrow) ?? []), move.cause]));
  }
  return [...causes].map(([arrow, of]) => `  ${arrow}: ${of.join(' / ')}`).join('\n');
}

/** Replaces the first diagram below the heading. */
function redraw(text: string, heading: string, moves: Moves): string {
  const diagram = new RegExp(`(\\n## ${heading}\\n(?:(?!\\n## )[\\s\\S])*?\`\`\`mermaid\\nstateDiagram-v2\\n)[\\s\\S]*?(\\n\`\`\`\\n)`);
  if (!diagram.test(text)) {
    throw new Error(`docs/states.md has no diagram below "## ${heading}"`);
  }
  return text.replace(diagram, (_all, before: string, after: string) => `${before}${draw(moves)}${after}`);
}

const write = (text: string): string => Object.entries(DIAGRAMS).reduce((page, [heading, moves]) => redraw(page, heading, moves), text);

keepPage({ page: 'docs/states.md', command: 'npm run docs:states', write });
