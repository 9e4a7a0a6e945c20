import type { Counter, Histogram, Labels } from "../core/meters.ts";

/** One line of the text format. */
export interface Sample {
  readonly metricName?: string;
  readonly labels: Labels;
  readonly value: number;
}

/** All series of one name. */
export interface MetricFamily {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** What a scrape shows, under the given name. */
  samples(name: string): readonly Sample[];
}

/** Counts in a plain number: what it costs is an addition. */
class PlainCounter implements Counter {
  value = 0;
  add(n: number): void {
    this.value += n;
  }
}

/** Counts in plain arrays. With `weight` n only each n-th observation is taken, and counts for n. */
export class PlainHistogram implements Histogram {
  readonly bounds: readonly number[];
  /** Observations of each bucket by itself; the last bucket has no bound. */
  readonly counts: Float64Array;
  readonly #weight: number;
  #skipped = 0;
  sum = 0;

  constructor(bounds: readonly number[], weight: number) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
    this.#weight = weight;
  }

  observe(value: number): void {
    if (++this.#skipped < this.#weight) return;
    this.#skipped = 0;
    if (Number.isNaN(value)) return; // it would spoil the sum for good
    const { bounds } = this;
    let bucket = 0;
    // Most of what is measured is short and sits in the first buckets: faster than a binary search.
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    (this.counts[bucket] as number) += this.#weight;
    this.sum += value * this.#weight;
  }

  get count(): number {
    return this.counts.reduce((total, count) => total + count, 0);
  }

  /** The value below which the share `q` (0 to 1) lies, interpolated within its bucket; 0 when nothing was observed. */
  quantile(q: number): number {
    const rank = this.count * q;
    let below = 0;
    for (const [bucket, count] of this.counts.entries()) {
      if (count > 0 && below + count >= rank) {
        const lower = bucket === 0 ? 0 : (this.bounds[bucket - 1] as number);
        const upper = this.bounds[bucket] ?? lower;
        return lower + (upper - lower) * ((rank - below) / count);
      }
      below += count;
    }
    return 0;
  }
}

/** The children of a family by their labels; the same labels always give the same child. */
class Children<T> {
  readonly #children = new Map<string, { readonly labels: Labels; child: T }>();

  get(labels: Labels, make: () => T): T {
    const key = labelKey(labels);
    const known = this.#children.get(key);
    if (known !== undefined) return known.child;
    const child = make();
    this.#children.set(key, { labels: { ...labels }, child });
    return child;
  }

  set(labels: Labels, child: T): void {
    this.#children.set(labelKey(labels), { labels: { ...labels }, child });
  }

  entries(): Iterable<{ readonly labels: Labels; readonly child: T }> {
    return this.#children.values();
  }
}

export class CounterFamily implements MetricFamily {
  readonly type = "counter";
  readonly help: string;
  readonly #children = new Children<PlainCounter>();

  constructor(help: string) {
    this.help = help;
  }

  child(labels: Labels): Counter {
    return this.#children.get(labels, () => new PlainCounter());
  }

  samples(): readonly Sample[] {
    return Array.from(this.#children.entries(), ({ labels, child }) => ({ labels, value: child.value }));
  }
}

export class GaugeFamily implements MetricFamily {
  readonly type = "gauge";
  readonly help: string;
  readonly #children = new Children<() => number>();

  constructor(help: string) {
    this.help = help;
  }

  /** What reads the series from now on. */
  read(labels: Labels, read: () => number): void {
    this.#children.set(labels, read);
  }

  samples(): readonly Sample[] {
    return Array.from(this.#children.entries()).flatMap(({ labels, child }) => {
      const value = safely(child);
      return value === undefined ? [] : [{ labels, value }];
    });
  }
}

export class HistogramFamily implements MetricFamily {
  readonly type = "histogram";
  readonly help: string;
  readonly #bounds: readonly number[];
  readonly #weight: number;
  readonly #children = new Children<PlainHistogram>();

  constructor(help: string, bounds: readonly number[], weight: number) {
    if (bounds.length === 0 || bounds.some((bound, at) => at > 0 && bound <= (bounds[at - 1] as number))) {
      throw new Error(`histogram buckets must ascend: ${bounds.join(", ")}`);
    }
    this.help = help;
    this.#bounds = [...bounds];
    this.#weight = weight;
  }

  child(labels: Labels): PlainHistogram {
    return this.#children.get(labels, () => new PlainHistogram(this.#bounds, this.#weight));
  }

  children(): Iterable<{ readonly labels: Labels; readonly child: PlainHistogram }> {
    return this.#children.entries();
  }

  samples(name: string): readonly Sample[] {
    return Array.from(this.#children.entries()).flatMap(({ labels, child }) => [
      ...cumulative(child).map(({ le, value }) => ({ metricName: `${name}_bucket`, labels: { ...labels, le }, value })),
      { metricName: `${name}_sum`, labels, value: child.sum },
      { metricName: `${name}_count`, labels, value: child.count },
    ]);
  }
}

/** Counts up to each bound, "+Inf" last. */
export function cumulative({
  bounds,
  counts,
}: PlainHistogram): readonly { readonly le: string; readonly value: number }[] {
  let total = 0;
  return Array.from(counts, (count, bucket) => {
    total += count;
    return { le: bucket < bounds.length ? String(bounds[bucket]) : "+Inf", value: total };
  });
}

function labelKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** One broken gauge costs its own series, not the whole scrape. */
function safely(read: () => number): number | undefined {
  try {
    const value = read();
    return Number.isNaN(value) ? undefined : value;
  } catch {
    return undefined;
  }
}
