/** A replica that holds tunnels. */
export interface TunnelHolder {
  /** New with each start of the process. */
  id: string;
  /** Its relay: `http://host:port`, for the rest of the control plane. */
  url: string;
  /** Which of its announcements this is: another one every few seconds. */
  announced: string;
}

export interface TunnelRecord {
  token: string;
  holder: TunnelHolder;
  /** Whether the holder's time is not over. */
  alive: boolean;
}
