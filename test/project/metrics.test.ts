import { describe, expect, it } from '@jest/globals';
import { readRules } from '../../scripts/lib/alerts-table';
import { DASHBOARDS, panelQueries } from '../../scripts/lib/dashboards';
import { grafanaOf } from '../../scripts/lib/panels';
import { createMetrics } from '../../src/modules/telemetry';
import { projectFiles, readProjectFile } from './files';
import { selectorsOf } from './queries';

/** Prometheus itself adds them. */
const OF_PROMETHEUS = { metrics: ['up'], labels: ['job', 'instance'] };

const { registry } = createMetrics();
const families = await registry.getMetricsAsJSON();
const rules = readRules();
const selectors = [...rules.map(({ expr }) => expr), ...panelQueries()].flatMap(selectorsOf);

const namesOf = ({ name, type }: { name: string; type: unknown }): string[] =>
  String(type) === 'histogram' ? ['bucket', 'sum', 'count'].map((end) => `${name}_${end}`) : [name];
const familyOf = (metric: string): (typeof families)[number] | undefined => families.find((family) => namesOf(family).includes(metric));
const matchers = selectors
  .flatMap(({ metric, matchers: of }) => of.map((matcher) => ({ metric, ...matcher })))
  .filter(({ metric }) => familyOf(metric));

/** The values of a label that exist before anything happened: a closed set. Empty if the label takes any value. */
function closedValues(metric: string, label: string): Set<string> {
  const values = familyOf(metric)?.values ?? [];
  return new Set(values.flatMap(({ labels }) => (label in labels && label !== 'le' ? [String(labels[label])] : [])));
}

function hasLabel(metric: string, label: string): boolean {
  const family = familyOf(metric);
  const { labelNames = [] } = (family && registry.getSingleMetric(family.name)) as unknown as { labelNames?: string[] };
  return [...labelNames, ...OF_PROMETHEUS.labels, ...(metric.endsWith('_bucket') ? ['le'] : [])].includes(label);
}

describe('selectorsOf', () => {
  it('finds metrics with their matchers, and no function, label, range or operator', () => {
    const expr = 'sum by (le, b) (rate(a_total{x="1}",y=~"p|q"}[5m] offset 10m)) > 2.5e3 and on (c) max(d) or orion:e:rate5m unless f{}';
    expect(selectorsOf(expr)).toEqual([
      {
        metric: 'a_total',
        matchers: [
          { label: 'x', operator: '=', value: '1}' },
          { label: 'y', operator: '=~', value: 'p|q' },
        ],
      },
      { metric: 'd', matchers: [] },
      { metric: 'orion:e:rate5m', matchers: [] },
      { metric: 'f', matchers: [] },
    ]);
  });
});

describe('the metrics of Orion', () => {
  it('R40: are each in a dashboard or an alert', () => {
    const read = new Set(selectors.map(({ metric }) => metric));
    const own = families.filter(({ name }) => name.startsWith('orion_'));
    expect(own.length).toBeGreaterThan(30);
    expect(own.filter((family) => !namesOf(family).some((name) => read.has(name))).map(({ name }) => name)).toEqual([]);
  });

  it('R40: are all that alerts and dashboards name', () => {
    const known = new Set([...families.flatMap(namesOf), ...rules.flatMap(({ record }) => record ?? []), ...OF_PROMETHEUS.metrics]);
    expect(selectors.map(({ metric }) => metric).filter((metric) => !known.has(metric))).toEqual([]);
  });

  it('R40: have the labels, and of closed labels the values, that alerts and dashboards select', () => {
    expect(matchers.length).toBeGreaterThan(20);
    expect(matchers.filter(({ metric, label }) => !hasLabel(metric, label))).toEqual([]);
    const exact = matchers.filter(({ metric, label, operator }) => operator === '=' && closedValues(metric, label).size > 0);
    expect(exact.length).toBeGreaterThan(5);
    expect(exact.filter(({ metric, label, value }) => !closedValues(metric, label).has(value))).toEqual([]);
  });

  it('R40: have one bucket at each limit that alerts select', () => {
    const limits = matchers.filter(({ label }) => label === 'le');
    expect(limits.length).toBeGreaterThan(5);
    const bucketsOf = (metric: string): string[] => [
      ...new Set((familyOf(metric)?.values ?? []).flatMap(({ labels }) => ('le' in labels ? [String(labels.le)] : []))),
    ];
    const hits = ({ metric, value }: (typeof limits)[number]): number =>
      bucketsOf(metric).filter((le) => new RegExp(`^(?:${value})$`).test(le)).length;
    expect(limits.filter((limit) => hits(limit) !== 1)).toEqual([]);
  });
});

describe('dashboards', () => {
  it('R40: are in docker/monitoring as their declarations make them, and no other', () => {
    for (const dashboard of DASHBOARDS) {
      expect(readProjectFile(`docker/monitoring/dashboards/${dashboard.name}.json`)).toBe(grafanaOf(dashboard));
    }
    const files = projectFiles.filter((file) => file.startsWith('docker/monitoring/dashboards/'));
    expect(files.toSorted()).toEqual(DASHBOARDS.map(({ name }) => `docker/monitoring/dashboards/${name}.json`).toSorted());
  });
});
