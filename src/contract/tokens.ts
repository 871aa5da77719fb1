import { z } from 'zod';
import { endpoint } from './endpoint';
import { operatorLabels } from './labels';
import { idParam, pageOf, pageQuery } from './paging';
import { PRINTABLE } from './printable';
import { caps } from './resources';

export const tokenBody = z
  .strictObject({
    name: z.string().min(1).max(64).regex(PRINTABLE, 'use printable characters'),
    max_uses: z.int().min(1).max(100_000).default(1),
    ttl_hours: z
      .number()
      .positive()
      .max(24 * 366)
      .default(24),
    labels: operatorLabels.default({}),
    ...caps,
  })
  .meta({ id: 'NewJoinToken' });

const tokenFields = {
  id: z.int(),
  name: z.string(),
  max_uses: z.int(),
  uses: z.int(),
  labels: operatorLabels,
  max_cpus: z.int().nullable(),
  max_memory_mb: z.int().nullable(),
  expires_at: z.iso.datetime(),
  revoked_at: z.iso.datetime().nullable(),
  created_at: z.iso.datetime(),
};
const tokenAnswer = z.object(tokenFields).meta({ id: 'JoinToken' });
const newTokenAnswer = z
  .object({ ...tokenFields, token: z.string().meta({ description: 'Shown this once' }) })
  .meta({ id: 'IssuedJoinToken' });

export type JoinToken = z.output<typeof tokenAnswer>;
export type IssuedJoinToken = z.output<typeof newTokenAnswer>;

export const issueToken = endpoint({
  method: 'post',
  path: '/api/tokens',
  summary: 'Issue a join token',
  access: 'admin',
  audit: ['token.issued'],
  body: tokenBody,
  answers: { 201: { description: 'The token, shown this once', schema: newTokenAnswer } },
});

export const listTokens = endpoint({
  method: 'get',
  path: '/api/tokens',
  summary: 'Join tokens, without their secrets',
  access: 'admin',
  audit: 'reads',
  query: pageQuery,
  answers: { 200: { description: 'A page', schema: pageOf(tokenAnswer) } },
});

export const revokeToken = endpoint({
  method: 'delete',
  path: '/api/tokens/{id}',
  summary: 'Revoke a join token',
  access: 'admin',
  audit: ['token.revoked'],
  params: idParam,
  problems: [404],
  answers: { 200: { description: 'Revoked', schema: tokenAnswer } },
});
