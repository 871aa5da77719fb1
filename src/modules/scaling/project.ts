import { LABEL } from './drivers/clone';
import type { Engine } from './engine';

const STACK = 'com.docker.stack.namespace';

/**
 * Finds the compose project or stack of the container with this id or host name. Undefined: there is no such container, or it has no
 * project.
 */
export async function findProject(engine: Pick<Engine, 'findContainer'>, container: string): Promise<string | undefined> {
  const labels = (await engine.findContainer(container))?.Config.Labels ?? {};
  return labels[LABEL.project] ?? labels[STACK];
}
