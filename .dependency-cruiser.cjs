/**
 * The import arrows of the house: main -> cli -> roles -> { http, agent } -> flows -> modules -> { db, ssh } -> lib; http, agent, cli and client -> contract -> lib; cli -> client.
 * docs/architecture.md says why; this file is what holds it.
 */
const rule = (name, path, to) => ({ name, severity: 'error', from: { path, pathNot: '\\.test\\.ts$' }, to: { path: to } });

/** The arrows between the folders of src/flows. Each folder may also use `support`. */
const FLOWS = {
  support: [],
  accounts: [],
  people: ['accounts', 'leases'],
  audit: [],
  leases: ['accounts'],
  nodes: [],
  enrolment: ['nodes'],
  health: ['nodes'],
  heartbeats: ['nodes'],
  placements: ['accounts', 'leases', 'nodes'],
  rent: ['accounts', 'leases', 'placements'],
  migration: ['leases', 'placements'],
  jobs: ['enrolment', 'health', 'leases', 'migration', 'placements'],
  scaling: [],
};

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    rule('lib-is-a-leaf', '^src/lib/', '^src/(?!lib/)'),
    rule('contract-only-lib', '^src/contract/', '^src/(?!contract/|lib/)'),
    rule('client-only-contract', '^src/client/', '^src/(?!client/|contract/)'),
    {
      name: 'clients-know-the-contract-by-its-types',
      severity: 'error',
      from: { path: '^src/(client|cli|agent)/', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/contract/', dependencyTypesNot: ['type-only'] },
    },
    rule('config-only-lib', '^src/config/', '^src/(?!config/|lib/)'),
    rule('db-only-lib', '^src/db/', '^src/(?!lib/|db/)'),
    rule('ssh-only-lib', '^src/ssh/', '^src/(?!lib/|ssh/)'),
    rule('modules-only-db-ssh-lib', '^src/modules/', '^src/(?!modules/|db/|ssh/|lib/)'),
    {
      name: 'modules-by-their-index',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/modules/' },
      to: { path: '^src/modules/', pathNot: ['^src/modules/[^/]+/index\\.ts$', '^src/modules/scaling/docker\\.ts$'] },
    },
    {
      name: 'modules-know-each-other-by-their-index',
      severity: 'error',
      from: { path: '^src/modules/([^/]+)/' },
      to: { path: '^src/modules/', pathNot: ['^src/modules/$1/', '^src/modules/[^/]+/index\\.ts$'] },
    },
    rule('flows-only-modules-db-ssh-lib', '^src/flows/', '^src/(?!flows/|modules/|db/|ssh/|lib/)'),
    ...Object.entries(FLOWS).map(([folder, others]) => rule(`flows-${folder}`, `^src/flows/${folder}/`, `^src/flows/(?!(${[folder, 'support', ...others].join('|')})/)`)),
    rule('http-only-contract-flows-modules-lib', '^src/http/', '^src/(?!http/|contract/|flows/|modules/|db/|lib/)'),
    rule('agent-only-contract-lib', '^src/agent/', '^src/(?!agent/|contract/|lib/)'),
    rule('cli-only-client-contract-config-roles-lib', '^src/cli/', '^src/(?!cli/|client/|contract/|config/|roles/|lib/|db/)'),
    {
      name: 'one-role-one-file',
      severity: 'error',
      from: { path: '^src/roles/([^/]+)\\.ts$', pathNot: '^src/roles/index\\.ts$' },
      to: { path: '^src/roles/', pathNot: '^src/roles/(role|control-plane|measure|$1)\\.ts$' },
    },
    {
      name: 'agent-never-reaches-the-database',
      severity: 'error',
      from: { path: '^src/(roles/agent|agent-main)\\.ts$' },
      to: { path: '^src/(db|ssh|modules|flows|http)/', reachable: true },
    },
    {
      name: 'no-spans-in-the-agent',
      severity: 'error',
      from: { path: '^src/(roles/agent|agent-main)\\.ts$' },
      to: { path: '(^src/lib/trace\\.ts$|node_modules/@opentelemetry/)', reachable: true },
    },
    {
      name: 'spans-by-lib-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/lib/trace' },
      to: { path: 'node_modules/@opentelemetry/' },
    },
    {
      name: 'knex-in-db-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/db/' },
      to: { path: 'node_modules/(knex|mysql2)', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'ssh-library-in-ssh-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/ssh/' },
      to: { path: 'node_modules/(ssh2|node-ssh)' },
    },
    {
      name: 'docker-library-in-scaling-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/modules/scaling/' },
      to: { path: 'node_modules/dockerode' },
    },
    {
      name: 'scaling-in-its-own-roles-only',
      severity: 'error',
      from: { path: '^src/(roles/(api|scheduler|gateway|agent)|agent-main)\\.ts$' },
      to: { path: '^src/modules/scaling/', reachable: true },
    },
    {
      name: 'only-the-scale-driver-reaches-docker',
      severity: 'error',
      from: { path: '^src/roles/', pathNot: '^src/roles/(scale-driver|index)\\.ts$' },
      to: { path: '^src/modules/scaling/(docker|engine)\\.ts$', reachable: true },
    },
  ],
  options: { doNotFollow: { path: 'node_modules' }, tsPreCompilationDeps: true, tsConfig: { fileName: 'tsconfig.json' } },
};
