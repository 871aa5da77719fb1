import { z } from 'zod';
import { endpoint } from './endpoint';
import { jobAnswer } from './jobs';

const lines = z.array(z.string());

const replicaReport = z
  .object({
    replica: z.string().meta({ description: 'Host name and process id of the replica that answers' }),
    at: z.iso.datetime(),
    version: z.string(),
    node_version: z.string(),
    settings: z
      .array(z.object({ name: z.string(), value: z.string().nullable() }))
      .meta({ description: 'Of a secret, only whether it is set' }),
    schema: z.object({ applied: lines, pending: lines, newer: lines }).meta({ description: 'Migrations' }),
    database: z
      .object({ version: z.string(), counters: z.record(z.string(), z.string()) })
      .meta({ description: 'Of the server: its version, slow queries, lock waits' }),
    jobs: z.array(jobAnswer),
    faults: lines.meta({ description: 'The last 100 warnings and errors of the replica, however old' }),
    logs: lines.meta({ description: 'The log lines of the replica of the last ten minutes, up to 2,000,000 characters' }),
  })
  .meta({ id: 'ReplicaReport' });

export type ReplicaReport = z.output<typeof replicaReport>;

export const reportReplica = endpoint({
  method: 'get',
  path: '/api/support',
  summary: 'State and recent log lines of the replica that answers, without secrets: a part of `orion support-bundle`',
  access: 'admin',
  audit: 'reads',
  answers: { 200: { description: 'The report', schema: replicaReport } },
});
