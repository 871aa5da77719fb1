export * from './types';
export * from './access-tokens';
export * from './crypt-password';
export * from './passwords';
export * from './ssh-public-key';
export * from './usernames';
export * from './queries/user-keys';
export * from './queries/users';
