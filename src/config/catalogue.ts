import { readAgent } from './agent';
import { readAutoscaler } from './autoscaler';
import { readControlPlane } from './control-plane';
import { createEnvReader, type EnvReader } from './env';
import { readScaleDriver } from './scale-driver';
import type { Setting } from './setting';

const SECTIONS: [title: string, read: (env: EnvReader) => unknown][] = [
  ['Control plane', (env) => readControlPlane(env, ['api', 'scheduler', 'gateway'])],
  ['Autoscaler', readAutoscaler],
  ['Scale driver', readScaleDriver],
  ['Agent', readAgent],
];

export interface Section {
  title: string;
  settings: Setting[];
}

/** All settings, in the order in which the roles read them. A setting that several roles share is in the first section alone. */
export function listSettings(): Section[] {
  const seen = new Set<string>();
  const isNew = ({ name, doc }: Setting): boolean => !seen.has(`${name} ${doc}`) && Boolean(seen.add(`${name} ${doc}`));
  return SECTIONS.map(([title, read]) => {
    const settings: Setting[] = [];
    read(createEnvReader({}, (setting) => void settings.push(setting)));
    return { title, settings: settings.filter(isNew) };
  });
}
