import type { NodeTarget } from '../types';
import type { Outcome } from './outcome';

export interface PlayRequest {
  /** File name in the playbooks directory. */
  playbook: string;
  target: NodeTarget;
  /** Passed by a private file, never on a command line and never rendered as templates. */
  vars: Record<string, unknown>;
  /**
   * `own`: it has to work over a connection of its own. `beside`: it may use one that is open, but only counts when the node can be logged in to anew.
   * A play that is a process of its own always logs in.
   */
  freshLogin?: 'own' | 'beside';
  deadlineMs: number;
  signal?: AbortSignal;
}

export interface PlayResult extends Outcome {
  durationMs: number;
  /** Tail of what it printed, at most 64 KiB, redacted. */
  output: string;
}

/** Runs one playbook against one node. Never rejects for what the node or Ansible does: that is in the result's status. */
export type RunPlay = (request: PlayRequest) => Promise<PlayResult>;
