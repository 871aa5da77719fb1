import tseslint from 'typescript-eslint';

const ban = (selector, message) => ({ selector, message });
const wallClock = [
  ban("CallExpression[callee.object.name='Date'][callee.property.name='now']", 'Ask the Clock.'),
  ban("NewExpression[callee.name='Date'][arguments.length=0]", 'Ask the Clock.'),
  ban("CallExpression[callee.name=/^(setTimeout|setInterval)$/]", 'Use the Clock or lib/loop.'),
];
const environment = [ban("MemberExpression[object.name='process'][property.name='env']", 'Only src/config reads the environment.')];
const exit = [ban("CallExpression[callee.object.name='process'][callee.property.name='exit']", 'Only src/main.ts ends the process.')];
const LOCK = '/\\b(FOR\\s+UPDATE|SKIP\\s+LOCKED|LOCK\\s+IN\\s+SHARE\\s+MODE)\\b/i';
const rowLocks = [`Literal[value=${LOCK}]`, `TemplateElement[value.raw=${LOCK}]`].map((selector) => ban(selector, 'Row locks live in modules/*/queries, db/work-queue and db/old-rows.'));
// A transaction refuses the second statement at run time; a batch is named otherwise than `tx`.
const atOnce = [
  ban("CallExpression[callee.object.name='Promise'] CallExpression:not(CallExpression[callee.name='transaction'] *) > Identifier.arguments[name='tx']",
    'A transaction sends one statement at a time: await each, or send them in a batch (tx.batch).'),
];
const named = [ban('ExportDefaultDeclaration', 'Named exports only.')];
const all = { wallClock, environment, exit, rowLocks, atOnce, named };
const except = (...names) => Object.entries(all).flatMap(([name, rules]) => (names.includes(name) ? [] : rules));
const typed = { extends: [...tseslint.configs.strictTypeChecked], languageOptions: { parserOptions: { projectService: true } } };
// Prettier breaks lines; what it cannot break is a text.
const width = ['error', { code: 140, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true, ignoreUrls: true }];
const relaxed = {
  'max-len': width,
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
  '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
};

export default tseslint.config(
  { files: ['src/**/*.ts'], ...typed,
    rules: {
      ...relaxed,
      'max-lines': ['error', { max: 275, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 75, skipBlankLines: true, skipComments: true }],
      'max-params': 'off', '@typescript-eslint/max-params': ['error', { max: 3 }],
      complexity: ['error', 10], 'max-depth': ['error', 3], 'no-console': 'error', eqeqeq: 'error', curly: 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      'no-restricted-syntax': ['error', ...except()],
    } },
  { files: ['**/*.test.ts', 'test/**/*.ts', 'scripts/**/*.ts', 'migrations/**/*.ts', 'bench/**/*.ts'], ...typed,
    rules: {
      ...relaxed,
      'no-restricted-syntax': ['error',
        ban("CallExpression[callee.object.name='jest'][callee.property.name=/^(mock|doMock|unstable_mockModule)$/]", 'Pass a fake instead of mocking a module.'),
        ban("CallExpression[callee.property.name='only']", 'No focused tests.')],
      'max-lines-per-function': 'off', 'max-lines': ['error', { max: 480 }],
    } },
  { files: ['src/lib/**/*.ts'], ignores: ['**/*.test.ts'], rules: { 'no-restricted-syntax': ['error', ...except('wallClock')] } },
  { files: ['src/config/**/*.ts'], ignores: ['**/*.test.ts'], rules: { 'no-restricted-syntax': ['error', ...except('environment')] } },
  { files: ['src/main.ts', 'src/agent-main.ts'], rules: { 'no-restricted-syntax': ['error', ...except('exit', 'environment')] } },
  { files: ['src/modules/*/queries/**/*.ts', 'src/db/work-queue.ts', 'src/db/old-rows.ts'], rules: { 'no-restricted-syntax': ['error', ...except('rowLocks')] } },
);
