/** Roles that read settings. The command-line client and the installer have variables of their own. */
type SettingRole = 'api' | 'scheduler' | 'gateway' | 'autoscaler' | 'scale-driver' | 'agent';

export const DATABASE_ROLES = ['api', 'scheduler', 'gateway', 'autoscaler'] as const satisfies SettingRole[];
export const NODE_ROLES = ['api', 'scheduler'] as const satisfies SettingRole[];
export const ALL_ROLES = [...DATABASE_ROLES, 'scale-driver', 'agent'] as const satisfies SettingRole[];

/** What each call of the reader declares for people, beside the rules for the value. docs/settings.md is made of it. */
export interface About {
  /** One sentence or two in Markdown. */
  doc: string;
  /** The roles that use the value. */
  roles: readonly SettingRole[];
  /** The default in words, where the table would show a value that depends on other settings. */
  defaultDoc?: string;
  /** The name before the last renaming. It works for one release and wins over the new name; src/config/retired.ts has the warning. */
  former?: string;
}

/** One declared setting. */
export interface Setting extends About {
  name: string;
  type: string;
  /** Undefined for text without a unit. */
  unit: string | undefined;
  /** As an operator would write it; undefined: there is none. */
  default: string | undefined;
  required: boolean;
}
