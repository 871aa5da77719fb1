import manifest from '../../package.json' with { type: 'json' };

/** The release of this agent. The bundler inlines it. */
export const agentVersion = manifest.version;
