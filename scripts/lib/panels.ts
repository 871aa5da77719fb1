/** One expression of a panel, with the legend of its lines (Grafana's `{{label}}`). */
export interface Query {
  expr: string;
  legend: string;
}

export interface Panel {
  title: string;
  /** A unit of Grafana: `s`, `ops`, `percentunit`, `bytes`, `short`. */
  unit: string;
  /** `stat` shows the last value, `table` the labels of an information metric. */
  type: 'timeseries' | 'stat' | 'table';
  queries: Query[];
}

export interface Dashboard {
  /** The name of its file, and the end of its address. */
  name: string;
  title: string;
  panels: Panel[];
}

type Unit = Panel['unit'];

/** Each query by the legend of its lines. */
type Queries = Readonly<Record<string, string>>;

const panel =
  (type: Panel['type']) =>
  (title: string, unit: Unit, queries: Queries): Panel => ({
    title,
    unit,
    type,
    queries: Object.entries(queries).map(([legend, expr]) => ({ legend, expr })),
  });

export const lines = panel('timeseries');
export const figure = panel('stat');
export const table = panel('table');

/** Events of a second, by a label, over all replicas. */
export const rates = (title: string, metric: string, label: string): Panel =>
  lines(title, 'ops', { [`{{${label}}}`]: `sum by (${label}) (rate(${metric}[$__rate_interval]))` });

/** Median and 95th percentile of a histogram, over all replicas. */
export const durations = (title: string, metric: string, matchers = ''): Panel =>
  lines(title, 's', { p50: quantile(0.5, metric, matchers), p95: quantile(0.95, metric, matchers) });

/** `matchers` select series, for example `{cause="death"}`. */
export const quantile = (part: number, metric: string, matchers = ''): string =>
  `histogram_quantile(${part}, sum by (le) (rate(${metric}_bucket${matchers}[$__rate_interval])))`;

/** Mean number of items of the batches of a kind, over all replicas. */
export const meanBatch = (batch: string): string =>
  ['sum', 'count'].map((end) => `sum(rate(orion_batch_items_${end}{batch="${batch}"}[$__rate_interval]))`).join(' / ');

/** Gauges of the fleet are the same at every replica. */
export const ofFleet = (title: string, unit: Unit, metric: string, label: string): Panel =>
  lines(title, unit, { [`{{${label}}}`]: `max by (${label}) (${metric})` });

const WIDTH = 12;
const HEIGHT = 8;
const SOURCE = { type: 'prometheus', uid: '${datasource}' };

const targetOf =
  (type: Panel['type']) =>
  ({ expr, legend }: Query, index: number): object => ({
    datasource: SOURCE,
    expr,
    legendFormat: legend,
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
    ...(type === 'table' ? { format: 'table', instant: true } : {}),
  });

const panelOf = ({ title, unit, type, queries }: Panel, index: number): object => ({
  id: index + 1,
  title,
  type,
  datasource: SOURCE,
  gridPos: { x: (index % 2) * WIDTH, y: Math.floor(index / 2) * HEIGHT, w: WIDTH, h: HEIGHT },
  fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
  targets: queries.map(targetOf(type)),
});

/** The JSON that Grafana imports. */
export function grafanaOf({ name, title, panels }: Dashboard): string {
  const dashboard = {
    uid: `orion-${name}`,
    title: `Orion: ${title}`,
    tags: ['orion'],
    schemaVersion: 39,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: [{ name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' }] },
    links: [{ type: 'dashboards', tags: ['orion'], title: 'Orion', asDropdown: true }],
    panels: panels.map(panelOf),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
