// The tests run in this process or in children of it, and cannot tell by themselves: what they share ends with it (test/lab/shared-mariadb.ts).
process.env.ORION_LAB_RUN_PID = String(process.pid);

const common = {
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' }, experimental: { keepImportAttributes: true } }, module: { type: 'es6' }, sourceMaps: true }],
  },
  testEnvironment: 'node',
};

/** These build images and start containers; they run only when they are asked for: `--selectProjects containers`. */
const containers = { ...common, displayName: 'containers', testMatch: ['<rootDir>/test/containers/**/*.test.ts'] };
const asked = process.argv.includes('containers') ? [containers] : [];

/** Unit tests lie beside their file and need nothing; the others start real servers of their own (test/lab). */
export default {
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.test.ts'],
  coverageReporters: ['json'],
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/src/**/*.test.ts', '<rootDir>/test/{checker,mutations,project}/**/*.test.ts'] },
    { ...common, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.test.ts'] },
    { ...common, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.test.ts'] },
    ...asked,
  ],
};
