import { LABEL } from './drivers/clone';
import type { Engine } from './engine';

const STACK = 'com.docker.stack.namespace';

/** The compose project or the stack that the container with this id or host name belongs to. Undefined: none, or no container. */
export async function findProject(engine: Pick<Engine, 'findContainer'>, container: string): Promise<string | undefined> {
  const labels = (await engine.findContainer(container))?.Config.Labels ?? {};
  return labels[LABEL.project] ?? labels[STACK];
}
