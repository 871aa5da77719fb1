import type { TestApi } from './api';
import { anSshKey } from './keys';
import { sendRegistration, signRegistration } from './machine';
import type { RegisteredJson, Reply } from './wire';

export type MachineBody = Record<string, unknown> & { host_key: string };

/** Builds the registration body of a machine that is not enrolled yet. */
export const aMachine = (change: object = {}): MachineBody => ({
  hostname: 'edge-1',
  ssh_port: 2222,
  host_key: anSshKey(),
  facts: { cpus: 4, memory_mb: 8000 },
  ...change,
});

export interface Enrolling {
  joinToken?: string;
  credential?: string;
  /** The client address that the reverse proxy reports. */
  from?: string;
}

/** Registers a machine in the same way as an agent of this release. Returns the answer, whatever its status. */
export async function enrol(api: TestApi, body: MachineBody, { from, ...showing }: Enrolling = {}): Promise<Reply<RegisteredJson>> {
  const signed = await signRegistration(api.url, body, showing);
  return sendRegistration(api.url, {
    ...signed,
    headers: { ...signed.headers, ...(from === undefined ? {} : { 'X-Forwarded-For': from }) },
  });
}
