import type { NodeTarget } from '../types';
import type { Outcome } from './outcome';

export interface PlayRequest {
  /** File name in the playbooks directory. */
  playbook: string;
  target: NodeTarget;
  /** Variables of the play. They are passed in a private file, never on a command line, and Ansible never renders them as templates. */
  vars: Record<string, unknown>;
  /**
   * `own`: the play must use a new connection. `beside`: the play may use an open connection, but it only counts if a new login to the node
   * works too. A one-off run always makes a new login.
   */
  freshLogin?: 'own' | 'beside';
  deadlineMs: number;
  signal?: AbortSignal;
}

export interface PlayResult extends Outcome {
  durationMs: number;
  /** Tail of the play's output, at most 64 KiB, redacted. */
  output: string;
}

/** Runs one playbook against one node. Never rejects because of the node or Ansible: such failures are in the result's status. */
export type RunPlay = (request: PlayRequest) => Promise<PlayResult>;
