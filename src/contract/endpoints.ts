import * as accounts from './accounts';
import * as audit from './audit';
import * as jobs from './jobs';
import * as leases from './leases';
import * as nodes from './nodes';
import * as support from './support';
import * as tokens from './tokens';
import * as workers from './workers';

/** Every call of the API. */
export const ENDPOINTS = [
  accounts.signUp,
  accounts.logIn,
  accounts.logOut,
  accounts.showMe,
  accounts.changePassword,
  accounts.useCode,
  accounts.listSessions,
  accounts.endSession,
  accounts.endAllSessions,
  accounts.listKeys,
  accounts.addKey,
  accounts.removeKey,
  accounts.listUsers,
  accounts.createUser,
  accounts.showUser,
  accounts.changeUser,
  accounts.deleteUser,
  accounts.resetPassword,
  leases.rentNodes,
  leases.extendLease,
  leases.releaseLease,
  leases.listLeases,
  leases.showLease,
  nodes.listNodes,
  nodes.streamNodes,
  nodes.approveNode,
  nodes.drainNode,
  nodes.undrainNode,
  nodes.quarantineNode,
  nodes.retireNode,
  nodes.labelNode,
  nodes.limitNode,
  nodes.decideSharedStorage,
  tokens.issueToken,
  tokens.listTokens,
  tokens.revokeToken,
  jobs.listJobs,
  audit.listEvents,
  audit.showAuditHead,
  audit.proveAuditRange,
  audit.listAuditEntries,
  support.reportReplica,
  workers.challengeMachine,
  workers.registerMachine,
  workers.register,
  workers.heartbeat,
  workers.leaveFleet,
  workers.proveAuditLog,
] as const;
