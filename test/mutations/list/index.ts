import type { Mutation } from '../mutation';
import { ACCESS } from './access';
import { CLEANING } from './cleaning';
import { EDGE } from './edge';
import { LEASING } from './leasing';
import { SEEING } from './seeing';
import { TRUST } from './trust';
import { WORKING } from './working';

export const MUTATIONS: Mutation[] = [...LEASING, ...WORKING, ...CLEANING, ...EDGE, ...ACCESS, ...TRUST, ...SEEING];
