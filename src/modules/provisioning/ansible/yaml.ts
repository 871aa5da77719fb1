/**
 * Writes `value` as YAML in flow style, with every text tagged `!unsafe`. Ansible renders texts of variables as Jinja templates on the
 * control plane. An untagged key comment such as `{{ lookup('pipe', …) }}` would run there.
 */
export function toUnsafeYaml(value: unknown): string {
  if (typeof value === 'string') {
    return `!unsafe ${JSON.stringify(value)}`;
  }
  if (Array.isArray(value)) {
    return `[${value.map(toUnsafeYaml).join(', ')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${toUnsafeYaml(item)}`);
    return `{${members.join(', ')}}`;
  }
  return value === undefined ? 'null' : JSON.stringify(value);
}
