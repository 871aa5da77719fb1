/** A replica that owns tunnels. */
export interface TunnelOwner {
  /** New with each start of the process. */
  id: string;
  /** URL of its relay, `http://host:port`, for the rest of the control plane. */
  url: string;
  /**
   * A secret that only this owner and processes with access to the database know. Null: a replica of the previous release, which has none.
   */
  key: string | null;
  /** Its latest announcement; a new one replaces it every few seconds. */
  announced: string;
}

export interface TunnelRecord {
  token: string;
  owner: TunnelOwner;
  /** Whether the owner has not expired. */
  alive: boolean;
}
