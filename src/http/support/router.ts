import * as calls from '../../contract/support';
import { readServerStatus } from '../../db/server-status';
import { viewJobs } from '../../flows/jobs/view-jobs';
import type { ApiDeps } from '../deps';
import { presentJob } from '../jobs/router';
import type { RouteMaker } from '../route';

/** Adds the route with which `orion support-bundle` reads the state of this replica. */
export function addSupportRoutes(routes: RouteMaker, { ctx, reads, replica }: Pick<ApiDeps, 'ctx' | 'reads' | 'replica'>): void {
  routes.on(calls.reportReplica).answer(async () => {
    const [schema, database, jobs] = await Promise.all([replica.migrator.status(), readServerStatus(reads), viewJobs(reads)]);
    const { name, version, settings, recentLogs } = replica;
    const about = { replica: name, at: ctx.clock.now().toISOString(), version, node_version: process.version, settings, schema, database };
    return {
      status: 200,
      headers: { 'Cache-Control': 'no-store' },
      body: { ...about, jobs: jobs.map(presentJob), faults: recentLogs.faults(), logs: recentLogs.lines() },
    };
  });
}
