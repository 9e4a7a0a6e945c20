import type { z } from "zod";
import { checkTogether } from "./check-together.ts";
import { ConfigError, type ConfigFault } from "./config-error.ts";
import { configJsonSchema, configSchema } from "./config-schema.ts";
import { environmentLayer, readText, type SchemaNode, schemaAt } from "./environment.ts";
import { faultMessage, pathText } from "./fault-text.ts";
import { fileLayer, flagsLayer, has, type Layer, merge, splitAssignment, type Tree, withValue } from "./layers.ts";

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

type Parsed = DeepReadonly<z.output<typeof configSchema>>;

/** The configuration with every default filled in. Times are milliseconds and sizes bytes. */
export interface Config extends Omit<Parsed, "agents"> {
  readonly agents: Parsed["agents"] & { readonly implicit: boolean };
}

export interface ConfigInputs {
  /** A YAML or JSON file. Unset: none. */
  readonly file?: string;
  /** Variables such as AGENTBUS_SERVER__PORT. Unset: none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What flags say, as a tree: `{ server: { port: 0 } }`. It wins over everything but `assignments`. */
  readonly overrides?: Tree;
  /** What `--set` says, such as "server.port=0". The last one wins. */
  readonly assignments?: readonly string[];
}

/** File < environment < flags, checked. Throws ConfigError with all faults at once. */
export function loadConfig(inputs: ConfigInputs = {}): Config {
  const layers = readLayers(inputs);
  const values = layers.map((layer) => layer.values).reduce(merge, {});
  const result = configSchema.safeParse(values);
  if (!result.success) {
    throw new ConfigError(
      result.error.issues.map((issue) => {
        const message = faultMessage(issue, values, schemaAt(jsonSchema(), issue.path));
        // A section comes from many layers; the key that nobody knows comes from one.
        const written = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]!] : issue.path;
        return fault(issue.path, message, layers, written);
      }),
    );
  }
  const config = resolve(result.data);
  const faults = checkTogether(config).map(({ path, message }) => fault(path, message, layers));
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

function resolve(parsed: Parsed): Config {
  const implicit = parsed.agents.implicit ?? parsed.auth.apiKeys.length === 0;
  return { ...parsed, agents: { ...parsed.agents, implicit } };
}

function readLayers({ file, env = {}, overrides = {}, assignments = [] }: ConfigInputs): readonly Layer[] {
  const attempts = [
    () => (file === undefined ? [] : [fileLayer(file)]),
    () => [environmentLayer(env, jsonSchema())],
    () => [flagsLayer(overrides), assignmentsLayer(assignments)],
  ];
  const layers: Layer[] = [];
  const faults: ConfigFault[] = [];
  for (const attempt of attempts) {
    try {
      layers.push(...attempt());
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(...error.faults);
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return layers;
}

function assignmentsLayer(assignments: readonly string[]): Layer {
  let values: Tree = {};
  for (const assignment of assignments) {
    const { path, text } = splitAssignment(assignment);
    values = withValue(values, path, readText(text, schemaAt(jsonSchema(), path), "flags"));
  }
  return flagsLayer(values);
}

function fault(
  path: readonly PropertyKey[],
  message: string,
  layers: readonly Layer[],
  written: readonly PropertyKey[] = path,
): ConfigFault {
  const source = layers.findLast((layer) => written.length > 0 && has(layer.values, written))?.sourceOf(written) ?? "";
  return { path: pathText(path), source, message };
}

let memo: SchemaNode | undefined;

function jsonSchema(): SchemaNode {
  memo ??= configJsonSchema();
  return memo;
}
