import type { Fault } from '../fault';
import { CLEANING } from './cleaning';
import { LEASING } from './leasing';
import { WORKING } from './working';

export const FAULTS: Fault[] = [...LEASING, ...WORKING, ...CLEANING];
