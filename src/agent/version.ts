import manifest from '../../package.json' with { type: 'json' };

/** The release this agent was built from; the bundler writes it in. */
export const agentVersion = manifest.version;
