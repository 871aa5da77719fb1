import { z } from 'zod';
import type { Obstacle, ServiceState } from './types';

/** The bodies of requests and answers between the autoscaler and the scale driver. Each side validates those of the other. */

const OBSTACLES: { [O in Obstacle]: O } = {
  no_replica: 'no_replica',
  starting: 'starting',
  draining: 'draining',
  updating: 'updating',
  paused: 'paused',
  foreign: 'foreign',
};
const MOST = 10_000;
const count = z.int().min(0).max(MOST);
const name = z.string().min(1).max(255);

export const stepWire = z.strictObject({ from: count, to: count });

export const removedWire = z.object({ removed: z.array(name).max(MOST) });

const replicaWire = z.object({
  container_id: name,
  name,
  cores: z.number().positive(),
  cpu: z.object({ used_ms: z.number().min(0), at_ms: z.number() }).nullable(),
});

const stateWire = z.object({
  actual: count,
  obstacle: z.enum(OBSTACLES).nullable(),
  replicas: z.array(replicaWire).max(MOST),
});

export function presentState({ actual, obstacle, replicas }: ServiceState): z.input<typeof stateWire> {
  return {
    actual,
    obstacle,
    replicas: replicas.map(({ containerId, cpu, ...same }) => ({
      ...same,
      container_id: containerId,
      cpu: cpu && { used_ms: cpu.usedMs, at_ms: cpu.atMs },
    })),
  };
}

/** Parses the state that a driver returned. Throws a ZodError for anything else. */
export function parseState(body: unknown): ServiceState {
  const { actual, obstacle, replicas } = stateWire.parse(body);
  return {
    actual,
    obstacle,
    replicas: replicas.map(({ container_id: containerId, cpu, ...same }) => ({
      ...same,
      containerId,
      cpu: cpu && { usedMs: cpu.used_ms, atMs: cpu.at_ms },
    })),
  };
}
