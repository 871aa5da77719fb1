import * as accounts from './accounts';
import * as audit from './audit';
import * as jobs from './jobs';
import * as leases from './leases';
import * as nodes from './nodes';
import * as tokens from './tokens';
import * as workers from './workers';

/** Every call of the API. */
export const ENDPOINTS = [
  accounts.signUp, accounts.logIn, accounts.logOut, accounts.showMe, accounts.listKeys, accounts.addKey, accounts.removeKey, accounts.listUsers, accounts.changeUser,
  leases.rentNodes, leases.extendLease, leases.releaseLease, leases.listLeases, leases.showLease,
  nodes.listNodes, nodes.streamNodes, nodes.approveNode, nodes.drainNode, nodes.undrainNode, nodes.quarantineNode, nodes.retireNode, nodes.labelNode, nodes.limitNode, nodes.decideSharedStorage,
  tokens.issueToken, tokens.listTokens, tokens.revokeToken,
  jobs.listJobs, audit.listEvents, audit.showAuditHead, audit.proveAuditRange, audit.listAuditEntries,
  workers.challengeMachine, workers.registerMachine, workers.register, workers.heartbeat, workers.leaveFleet, workers.proveAuditLog,
] as const;
