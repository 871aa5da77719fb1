import { agentMemory } from './agent-memory';
import type { Benchmark } from './benchmark';
import { claim } from './claim';
import { containers } from './containers';
import { crowd } from './crowd';
import { failover } from './failover';
import { gateway } from './gateway';
import { batchedClaims } from './batched-claims';
import { heartbeat } from './heartbeat';
import { history } from './history';
import { keepaliveProbes } from './keepalive-probes';
import { load } from './load';
import { peers } from './peers';
import { postRent } from './post-rent';
import { probe } from './probe';
import { prompt } from './prompt';
import { rent } from './rent';
import { rest } from './rest';
import { sweep } from './sweep';
import { tunnels } from './tunnels';
import { prefork } from './prefork';

/** In the order of the table. */
export const BENCHMARKS: Benchmark[] = [
  claim,
  batchedClaims,
  peers,
  postRent,
  rent,
  crowd,
  prefork,
  probe,
  keepaliveProbes,
  sweep,
  heartbeat,
  load,
  rest,
  history,
  failover,
  prompt,
  gateway,
  tunnels,
  agentMemory,
  containers,
];
