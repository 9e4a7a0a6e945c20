import { readFileSync } from "node:fs";
import type { Counts } from "./step.ts";

/** One test of a report. */
export interface TestResult {
  readonly title: string;
  readonly file: string;
  readonly status: "passed" | "failed" | "skipped";
}

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

export function readVitest(file: string): readonly TestResult[] {
  const report = JSON.parse(readFileSync(file, "utf8")) as VitestReport;
  return report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ fullName, status }) => {
      return { title: fullName, file: name, status: status === "passed" || status === "failed" ? status : "skipped" };
    }),
  );
}

/** Reads JUnit's XML as pytest writes it: test cases, each with at most one of failure, error, skipped. */
export function readPytest(file: string): readonly TestResult[] {
  const xml = readFileSync(file, "utf8");
  return [...xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(
    ([, attributes = "", body = ""]) => {
      const status = /<(failure|error)\b/.test(body) ? "failed" : /<skipped\b/.test(body) ? "skipped" : "passed";
      return { title: attribute(attributes, "name"), file: attribute(attributes, "classname"), status };
    },
  );
}

function attribute(attributes: string, name: string): string {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
}

export const countVitest = (file: string): Counts => count(readVitest(file));
export const countPytest = (file: string): Counts => count(readPytest(file));

function count(results: readonly TestResult[]): Counts {
  const of = (status: TestResult["status"]) => results.filter((result) => result.status === status).length;
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped") };
}
