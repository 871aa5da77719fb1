import type { TestApi } from './api';
import { anSshKey } from './keys';
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

/** A machine announces itself. Any status is an answer. */
export const enrol = (api: TestApi, body: MachineBody, { joinToken, credential, from }: Enrolling = {}): Promise<Reply<RegisteredJson>> =>
  api.call<RegisteredJson>('post', '/api/workers/register', {
    as: credential,
    body: { ...body, join_token: joinToken },
    headers: from === undefined ? {} : { 'X-Forwarded-For': from },
  });
