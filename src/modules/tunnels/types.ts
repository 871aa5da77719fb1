/** A replica that holds tunnels. */
export interface TunnelHolder {
  /** New with each start of the process. */
  id: string;
  /** Its relay: `http://host:port`, for the rest of the control plane. */
  url: string;
  /** A secret of this holder and whoever reads the database; null: a replica of the release before, which has none. */
  key: string | null;
  /** Which of its announcements this is: another one every few seconds. */
  announced: string;
}

export interface TunnelRecord {
  token: string;
  holder: TunnelHolder;
  /** Whether the holder's time is not over. */
  alive: boolean;
}
