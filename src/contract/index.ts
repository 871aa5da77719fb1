/**
 * The API for its callers: schemas of requests and answers, their types, and the calls themselves (Endpoint). The server uses the values.
 * The agent, the command line, tests and scripts use the types. This folder contains no code of the server.
 */
export type { Access as CallAccess, AnswerOf, BodyOf, Endpoint, ParamsOf, QueryOf } from './endpoint';
export { type Page } from './paging';
export { type Problem, problem, PROBLEMS } from './problem';
export type { SharedStorage } from './resources';
export type { Key, LoginAnswer, NewUser, OneTimeCode, OpenSession, User, UserChange } from './accounts';
export type { AuditEntry, AuditHead, Event } from './audit';
export type { Job } from './jobs';
export type { Access, Checkpoint, Gateway, Lease, LeaseDetail, LeaseState, Rented, RentRequest } from './leases';
export type { Node, NodeForAdmin, NodeStatus } from './nodes';
export type { ReplicaReport } from './support';
export type { IssuedJoinToken, JoinToken } from './tokens';
export type { HeartbeatRequest, RegisterAnswer, RegisterRequest } from './workers';
