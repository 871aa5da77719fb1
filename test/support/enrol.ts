import type { TestApi } from './api';
import { anSshKey } from './keys';
import { sendRegistration, signRegistration } from './machine';
import type { RegisteredJson, Reply } from './wire';

export type MachineBody = Record<string, unknown> & { host_key: string };

/** What a machine says of itself that nobody has seen before. */
export const aMachine = (change: object = {}): MachineBody => ({ hostname: 'edge-1', ssh_port: 2222, host_key: anSshKey(), facts: { cpus: 4, memory_mb: 8000 }, ...change });

export interface Enrolling {
  joinToken?: string;
  credential?: string;
  /** The address that the proxy in front reports. */
  from?: string;
}

/** A machine announces itself, as an agent of this release does. Any status is an answer. */
export async function enrol(api: TestApi, body: MachineBody, { from, ...showing }: Enrolling = {}): Promise<Reply<RegisteredJson>> {
  const signed = await signRegistration(api.url, body, showing);
  return sendRegistration(api.url, { ...signed, headers: { ...signed.headers, ...(from === undefined ? {} : { 'X-Forwarded-For': from }) } });
}
