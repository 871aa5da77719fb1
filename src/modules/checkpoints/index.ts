export * from './types';
export { type Cipher, createAge } from './age';
export { bytesOf, chainWith, planFull, planNext, type Plan } from './chain';
export { createHomes, type Home, type Homes, type SaveOrder } from './homes';
export { judgeFinalBackup } from './final-backup';
export { createDirectoryStore } from './store';
export * from './queries/checkpoints';
