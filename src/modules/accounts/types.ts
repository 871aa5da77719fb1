export type Role = 'user' | 'admin';

export interface User {
  id: number;
  username: string;
  role: Role;
  maxLeases: number;
  maxLeaseHours: number;
  disabledAt: Date | null;
  /** Grows when the account's keys change, or whether they open anything. */
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

/** Who is asking, once authenticated. */
export interface Principal {
  user: User;
  /** The token that was shown. */
  token: TokenOfUser;
}

/** What a token says, once its signature was found good. */
export interface TokenOfUser {
  userId: number;
  tokenId: string;
  /** With fractions: a token from a moment before its user was disabled is told from one of a moment after. */
  issuedAtSeconds: number;
  expiresAtSeconds: number;
}

/** For events: who did it. */
export const actorOf = (user: Pick<User, 'id' | 'role'>): string => `${user.role}:${user.id}`;
