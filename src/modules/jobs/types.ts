import type { DueRows } from '../../db/work-queue';
import type { PassResult } from '../../lib/loop';
import type { Cause } from '../../lib/origin';

/** A background job of a role, as data. `C` is the type of the context that it works with. */
interface JobHead<C> {
  /** Also the label `loop` of its metrics. */
  name: string;
  /** Text for operators that describes the job: a verb in the third person first, no full stop. At most 255 characters. */
  description: string;
  /** Seconds between two passes. */
  period: (ctx: C) => number;
}

/** A job that does its work in the pass itself. */
export interface SweepJob<C> extends JobHead<C> {
  /** Rows that wait for the job. Undefined: the job has no queue. */
  queue?: DueRows;
  sweep: (ctx: C) => Promise<PassResult>;
}

/** A job whose pass claims due rows. It works on several rows at once, while its passes continue. */
export interface QueueJob<C, T> extends JobHead<C> {
  queue: DueRows;
  /** Claims that one replica works on at once. */
  concurrency: (ctx: C) => number;
  /** Claims `room` rows at most. */
  claim: (ctx: C, room: number) => Promise<Claimed<T>>;
  /** Runs as a trace of its own. */
  run: (ctx: C, claim: T) => Promise<void>;
  /** Returns the act that ordered the work. Undefined: the job orders its work itself. */
  causeOf?: (claim: T) => Cause;
}

/** The work of one claim. */
export interface Work {
  run: () => Promise<void>;
  causes: Cause[];
}

export interface Claimed<T> {
  claims: T[];
  next: PassResult;
}

/** A job with its context, as one process runs it. */
export type BoundJob = {
  name: string;
  description: string;
  periodSeconds: number;
  concurrency: number;
} & ({ sweep: () => Promise<PassResult> } | { claim: (room: number) => Promise<Claimed<Work>> });

/**
 * The result of a pass that claims as many rows as there is room for. The pass is `done`, because a pool that was full starts the next pass
 * itself.
 */
export const claimed = <T>(claims: T[]): Claimed<T> => ({ claims, next: 'done' });

/** Binds a job to its context. */
export function bind<C, T>(job: SweepJob<C> | QueueJob<C, T>, ctx: C): BoundJob {
  const { name, description } = job;
  const head = { name, description, periodSeconds: job.period(ctx) };
  if ('sweep' in job) {
    return { ...head, concurrency: 1, sweep: () => job.sweep(ctx) };
  }
  const claim = async (room: number): Promise<Claimed<Work>> => {
    const { claims, next } = await job.claim(ctx, room);
    return { claims: claims.map((each) => ({ run: () => job.run(ctx, each), causes: job.causeOf ? [job.causeOf(each)] : [] })), next };
  };
  return { ...head, concurrency: job.concurrency(ctx), claim };
}
