import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createMeters } from "./meters.ts";

const quiet = { process: false };

describe("meters", () => {
  it("shows counters, gauges and histograms in the text format", async () => {
    const meters = createMeters(quiet);
    meters.counter("events_published_total", "Published.", { code: "OK" }).add(3);
    meters.gauge("connections", "Open.", () => 2);
    const histogram = meters.histogram("append_seconds", "Append.", {}, [0.01, 0.05]);
    for (const value of [0.005, 0.01, 0.02, 7]) histogram.observe(value);
    assert.equal(
      await meters.text(),
      [
        "# HELP agentbus_events_published_total Published.",
        "# TYPE agentbus_events_published_total counter",
        'agentbus_events_published_total{code="OK"} 3',
        "",
        "# HELP agentbus_connections Open.",
        "# TYPE agentbus_connections gauge",
        "agentbus_connections 2",
        "",
        "# HELP agentbus_append_seconds Append.",
        "# TYPE agentbus_append_seconds histogram",
        'agentbus_append_seconds_bucket{le="0.01"} 2',
        'agentbus_append_seconds_bucket{le="0.05"} 3',
        'agentbus_append_seconds_bucket{le="+Inf"} 4',
        "agentbus_append_seconds_sum 7.035",
        "agentbus_append_seconds_count 4",
        "",
      ].join("\n"),
    );
    assert.equal(meters.contentType, "text/plain; version=0.0.4; charset=utf-8");
  });

  it("S4-9f: shows the same as JSON {timestamp, counters, histograms, gauges}", async () => {
    const meters = createMeters(quiet);
    meters.counter("events_published_total", "Published.").add(1);
    meters.gauge("active_sessions", "Sessions.", () => 4);
    const histogram = meters.histogram("append_seconds", "Append.", {}, [1, 2, 4]);
    for (let n = 1; n <= 100; n++) histogram.observe(n / 50);
    const json = await meters.json();
    assert.ok(Math.abs(Date.parse(json.timestamp) - Date.now()) < 60_000);
    assert.deepEqual(json.counters, { agentbus_events_published_total: [{ labels: {}, value: 1 }] });
    assert.deepEqual(json.gauges, { agentbus_active_sessions: [{ labels: {}, value: 4 }] });
    const [series] = json.histograms["agentbus_append_seconds"] ?? [];
    assert.equal(series?.count, 100);
    assert.equal(series?.p50, 1);
    assert.equal(series?.p90, 1.8);
    assert.deepEqual(series?.buckets, { "1": 50, "2": 100, "4": 100, "+Inf": 100 });
  });

  it("offers the well-known names without the prefix when asked, and no others", async () => {
    const meters = createMeters({ ...quiet, compat: true });
    meters.counter("events_published_total", "Published.").add(2);
    meters.counter("connections_total", "Connections.").add(1);
    const text = await meters.text();
    assert.match(text, /^events_published_total 2$/m);
    assert.match(text, /^agentbus_events_published_total 2$/m);
    assert.doesNotMatch(text, /^connections_total/m);
  });

  it("has 10 ms and 50 ms among the default buckets", async () => {
    const meters = createMeters(quiet);
    meters.histogram("event_processing_duration_seconds", "Processing.").observe(0.03);
    const text = await meters.text();
    assert.match(text, /_bucket\{le="0\.01"\} 0$/m);
    assert.match(text, /_bucket\{le="0\.05"\} 1$/m);
  });

  it("S4-9e: keeps rates right when it takes a sample only", async () => {
    const meters = createMeters({ ...quiet, sampleRate: 0.01 });
    const histogram = meters.histogram("append_seconds", "Append.");
    for (let n = 0; n < 1_000; n++) histogram.observe(0.5);
    const [series] = (await meters.json()).histograms["agentbus_append_seconds"] ?? [];
    assert.equal(series?.count, 1_000);
    assert.equal(series?.sum, 500);
  });

  it("answers the same one for the same name and labels, in whatever order", () => {
    const meters = createMeters(quiet);
    const one = meters.counter("x_total", "X.", { a: "1", b: "2" });
    assert.equal(meters.counter("x_total", "X.", { b: "2", a: "1" }), one);
    assert.notEqual(meters.counter("x_total", "X.", { a: "1", b: "3" }), one);
    assert.throws(() => meters.gauge("x_total", "X.", () => 1), /x_total is a counter already/);
    assert.throws(() => meters.histogram("y", "Y.", {}, [2, 1]), /must ascend/);
    assert.deepEqual(meters.names(), ["x_total"]);
  });

  it("survives a gauge that throws and an observation that is not a number", async () => {
    const meters = createMeters(quiet);
    meters.gauge("broken", "Broken.", () => {
      throw new Error("gone");
    });
    meters.histogram("y_seconds", "Y.").observe(Number.NaN);
    const text = await meters.text();
    assert.doesNotMatch(text, /^agentbus_broken/m);
    assert.match(text, /^agentbus_y_seconds_sum 0$/m);
  });

  it("S3-FR-007: brings Node's own metrics, for each server its own", async () => {
    const [one, other] = [createMeters(), createMeters()];
    assert.match(await one.text(), /^process_cpu_seconds_total /m);
    assert.match(await other.text(), /^nodejs_eventloop_lag_seconds /m);
    assert.deepEqual(one.names(), []);
  });
});
