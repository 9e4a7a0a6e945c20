/** The samples of one scrape of /metrics, by their text up to the value: `name{label="x"}`. */
export interface Scrape {
  /** The sum of all series of the name whose labels include these; 0 when there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
  /** Those series by their text, for messages. */
  series(name: string, labels?: Readonly<Record<string, string>>): readonly string[];
}

export async function scrape(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`, { headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`GET /metrics: ${response.status} ${text}`);
  const samples = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const space = line.lastIndexOf(" ");
      return { series: line.slice(0, space), value: Number(line.slice(space + 1)) };
    });
  const find = (name: string, labels: Readonly<Record<string, string>>) => {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return samples
      .filter(({ series }) => series === name || series.startsWith(`${name}{`))
      .filter(({ series }) => wanted.every((pair) => series.includes(pair)));
  };
  return {
    sum: (name, labels = {}) => find(name, labels).reduce((sum, { value }) => sum + value, 0),
    series: (name, labels = {}) => find(name, labels).map(({ series, value }) => `${series} ${value}`),
  };
}
