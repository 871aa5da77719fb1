export type Role = 'user' | 'admin';

export interface User {
  id: number;
  username: string;
  role: Role;
  maxLeases: number;
  maxLeaseHours: number;
  disabledAt: Date | null;
  /** A deleted user is disabled too. Its row stays, because leases and events refer to it. */
  deletedAt: Date | null;
  /** An operator chose the password. Until the user changes it, sessions of the user can do nothing else. */
  mustChangePassword: boolean;
  /** Grows when the user's keys change, and when the user is disabled or enabled. */
  accessVersion: number;
  createdAt: Date;
}

export interface UserKey {
  id: number;
  name: string;
  publicKey: string;
  fingerprint: string;
  createdAt: Date;
}

/** The authenticated user of a request. */
export interface Principal {
  user: User;
  /** The token that the request contained. */
  token: TokenOfUser;
}

/** The claims of a token whose signature was verified. */
export interface TokenOfUser {
  userId: number;
  tokenId: string;
  /** With milliseconds, so that tokens from just before and just after a change of the user differ. */
  issuedAtSeconds: number;
  expiresAtSeconds: number;
}

/** A token that is valid now, as its owner sees it. */
export interface Session {
  tokenId: string;
  createdAt: Date;
  /** To a minute. */
  lastUsedAt: Date;
  expiresAt: Date;
  /** Address of the last use. */
  address: string | null;
  /** The `User-Agent` of the caller. */
  client: string | null;
}

/** Returns the `actor` of an event that this user caused. */
export const actorOf = (user: Pick<User, 'id' | 'role'>): string => `${user.role}:${user.id}`;
