import { collectDefaultMetrics, type Metric, Registry } from "prom-client";
import type { Counter, Histogram, Labels, Meters } from "../core/meters.ts";
import {
  CounterFamily,
  cumulative,
  GaugeFamily,
  HistogramFamily,
  type MetricFamily,
  type Sample,
} from "./metric-family.ts";

export const METRIC_PREFIX = "agentbus_";

/** Seconds from 50 µs to 10 s. */
export const DEFAULT_BUCKETS: readonly number[] = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Series that are also offered without the prefix when `compat` is on, for dashboards that know them so. */
export const COMPAT_NAMES: ReadonlySet<string> = new Set([
  "events_published_total",
  "events_processed_total",
  "events_failed_total",
  "commands_sent_total",
  "commands_processed_total",
  "commands_failed_total",
  "event_processing_duration_seconds",
  "command_processing_duration_seconds",
  "queue_size",
  "backpressure_active",
  "circuit_breaker_state",
  "dead_letter_queue_size",
  "active_sessions",
  "registered_handlers",
]);

export interface MetersOptions {
  /** Also offer COMPAT_NAMES without the prefix. Default: false. */
  readonly compat?: boolean;
  /** Share of observations that histograms take, 0.001 to 1. Each one taken counts for those left out. Default: 1. */
  readonly sampleRate?: number;
  /** Also offer Node's own metrics (process_*, nodejs_*). Default: true. */
  readonly process?: boolean;
}

export interface Series {
  readonly labels: Labels;
  readonly value: number;
}

export interface HistogramSeries {
  readonly labels: Labels;
  readonly count: number;
  readonly sum: number;
  /** Estimated from the buckets. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** Observations up to each bound. */
  readonly buckets: Readonly<Record<string, number>>;
}

/** The JSON of /metrics.json. */
export interface MetricsJson {
  /** ISO 8601. */
  readonly timestamp: string;
  readonly counters: Readonly<Record<string, readonly Series[]>>;
  readonly histograms: Readonly<Record<string, readonly HistogramSeries[]>>;
  readonly gauges: Readonly<Record<string, readonly Series[]>>;
}

/** Meters that can be read. */
export interface ReadableMeters extends Meters {
  /** Content type of `text`. */
  readonly contentType: string;
  /** The Prometheus text format, version 0.0.4. */
  text(): Promise<string>;
  json(): Promise<MetricsJson>;
  /** The names made through these meters, without the prefix, sorted. Node's own are not among them. */
  names(): readonly string[];
}

/** Meters over a registry of their own, so that several servers can run in one process. */
export function createMeters(options: MetersOptions = {}): ReadableMeters {
  const { compat = false, sampleRate = 1, process = true } = options;
  const registry = new Registry();
  const families = new Map<string, MetricFamily>();
  const weight = Math.max(1, Math.round(1 / sampleRate));
  if (process) collectNodeMetrics(registry);

  function family<T extends MetricFamily>(kind: abstract new (...rest: never) => T, name: string, make: () => T): T {
    const known = families.get(name);
    if (known instanceof kind) return known;
    if (known !== undefined) throw new Error(`metric ${name} is a ${known.type} already`);
    const made = make();
    families.set(name, made);
    registry.registerMetric(asMetric(METRIC_PREFIX + name, made));
    if (compat && COMPAT_NAMES.has(name)) registry.registerMetric(asMetric(name, made));
    return made;
  }

  return {
    counter: (name: string, help: string, labels: Labels = {}): Counter =>
      family(CounterFamily, name, () => new CounterFamily(help)).child(labels),
    histogram: (name: string, help: string, labels: Labels = {}, buckets = DEFAULT_BUCKETS): Histogram =>
      family(HistogramFamily, name, () => new HistogramFamily(help, buckets, weight)).child(labels),
    gauge: (name: string, help: string, read: () => number, labels: Labels = {}): void =>
      family(GaugeFamily, name, () => new GaugeFamily(help)).read(labels, read),
    contentType: registry.contentType,
    text: () => registry.metrics(),
    json: () => toJson(registry, families),
    names: () => [...families.keys()].sort(),
  };
}

/** What the registry asks of a metric at a scrape; its own classes cost 200 to 400 ns for each count. */
function asMetric(name: string, family: MetricFamily): Metric {
  const get = async () => ({
    name,
    help: family.help,
    type: family.type,
    values: family.samples(name),
    aggregator: "sum",
  });
  return { name, get } as unknown as Metric;
}

async function toJson(registry: Registry, families: ReadonlyMap<string, MetricFamily>): Promise<MetricsJson> {
  const counters: Record<string, readonly Series[]> = {};
  const gauges: Record<string, readonly Series[]> = {};
  const histograms: Record<string, readonly HistogramSeries[]> = {};
  for (const [name, family] of families) {
    if (family instanceof HistogramFamily) histograms[METRIC_PREFIX + name] = histogramSeries(family);
  }
  for (const metric of (await registry.getMetricsAsJSON()) as unknown as readonly RegistryMetric[]) {
    const values = metric.values.map(({ labels, value }) => ({ labels, value }));
    if (metric.type === "counter") counters[metric.name] = values;
    if (metric.type === "gauge") gauges[metric.name] = values;
  }
  return { timestamp: new Date().toISOString(), counters, histograms, gauges };
}

interface RegistryMetric {
  readonly name: string;
  readonly type: string;
  readonly values: readonly Sample[];
}

function histogramSeries(family: HistogramFamily): readonly HistogramSeries[] {
  return Array.from(family.children(), ({ labels, child }) => ({
    labels,
    count: child.count,
    sum: child.sum,
    p50: child.quantile(0.5),
    p90: child.quantile(0.9),
    p99: child.quantile(0.99),
    buckets: Object.fromEntries(cumulative(child).map(({ le, value }) => [le, value])),
  }));
}

/** With thousands of connections each of these blocks the event loop for tens of milliseconds a scrape. */
const COSTLY_METRICS = [
  "process_open_fds",
  "nodejs_active_resources",
  "nodejs_active_resources_total",
  "nodejs_active_handles",
  "nodejs_active_handles_total",
  "nodejs_active_requests",
  "nodejs_active_requests_total",
];

function collectNodeMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of COSTLY_METRICS) registry.removeSingleMetric(name);
}
