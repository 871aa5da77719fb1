import type { Violation } from '../checker/evidence';
import type { Random } from './random';

/** One kind of stress on a control plane of its own, and what has to hold through it. */
export interface Scenario {
  /** As its file: kebab-case. */
  name: string;
  /** What is done and what has to hold, for the report: one line. */
  promise: string;
  /** What `operations` counts: "rents", "HTTP requests". */
  unit: string;
  /** How many: in CI, and in the long form by hand. */
  operations: { short: number; long: number };
  /** Starts what it needs, and has ended all of it when this settles. Throws only when the scenario itself could not be carried out. */
  run(run: ScenarioRun): Promise<Outcome>;
  /** Parts that can be run by themselves: `--only name/part`. */
  parts?: Scenario[];
}

export interface ScenarioRun {
  /** Decides all that is left to chance. */
  random: Random;
  seed: string;
  /** To be done; then the final check. */
  operations: number;
  /** Then the round in hand is finished, and the final check comes at once. */
  timeIsUp(): boolean;
  /** One line for whoever watches. */
  say(line: string): void;
}

export interface Outcome {
  /** Done, in the scenario's unit. */
  operations: number;
  /** Injected: kills, cuts, stops, hostile inputs. */
  faults: number;
  /** Further figures for the report: "converged within, s (worst)": 3.4. */
  figures?: Record<string, number>;
  /** Everything that did not hold. */
  violations: Violation[];
}

/** For what no invariant of the tables says: a 5xx, an answer that came too late. */
export const broken = (promise: string, where: string, what: string): Violation => ({ invariant: promise, where, what });
