import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { AgentKind } from "../../gen/agentbus/v1/agent_pb.ts";
import { Durability } from "../../gen/agentbus/v1/room_pb.ts";
import type { Checked, Violation } from "../../test/support/checker.ts";
import { createSeededRandom } from "../../test/support/seeded-random.ts";
import { waitUntil } from "../../test/support/wait.ts";
import { openClients } from "../../test/support/wire-clients.ts";
import { BackendServer, canMountDisks, mountDisk, unmount } from "./backend-server.ts";
import { ChannelHistories } from "./channel-histories.ts";
import { ChannelOperations, OPERATIONS_LINK, type OperationFigures } from "./channel-operations.ts";
import { Cluster, type ClusterNode } from "./cluster.ts";
import { recordAndCompareLogs } from "./compare-logs.ts";
import { Disk } from "./disk.ts";
import type { FaultKind } from "./fault-kinds.ts";
import { FaultLog } from "./fault-log.ts";
import { drawRound, type Fault, possibleFaults, runRound, type Stage } from "./faults.ts";
import { judge } from "./judge.ts";
import { publishEnds, sayInEach } from "./last-words.ts";
import { Load } from "./load.ts";
import type { BackendName, ChaosOptions } from "./options.ts";
import { type LossWindow, PowerSwitch } from "./power-cut.ts";
import { expectPresence } from "./presence.ts";
import { openSdk } from "./sdk-client.ts";
import { quantile, ServiceWatch } from "./service-watch.ts";
import { AGENTS, FLEETING, MIXED, planStage, ROOM, type StagePlan } from "./stage-plan.ts";

export interface ChaosReport {
  readonly seed: number;
  readonly backend: BackendName;
  readonly nodes: number;
  readonly durability: string;
  readonly seconds: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly notPossible: readonly string[];
  readonly acked: number;
  readonly violations: readonly Violation[];
  readonly checked: Checked;
  readonly lostAndTold: number;
  readonly fleeting: { readonly acked: number; readonly deliveries: number; readonly gaps: number };
  readonly longestRecoveryMs: number;
  readonly medianRecoveryMs: number;
  /** From the end of the last fault until everything was read by everyone. */
  readonly quietMs: number;
  /** Of readers whose node was killed while nothing else was wrong. */
  readonly resumes: number;
  readonly resumeP50Ms: number | undefined;
  readonly resumeP99Ms: number | undefined;
  /** Who took longest to resume. */
  readonly slowestResume: string | undefined;
  readonly operations: OperationFigures;
}

export interface ChaosEvents {
  onFault(fault: Fault, phase: "begins" | "is over"): void;
  onRecovered(recoveryMs: number, waitedFor: readonly string[]): void;
  onStep(text: string): void;
  /** Told of the watch once, for the progress line. */
  onStart(watch: ServiceWatch): void;
}

/** Without all faults, nodes and clients are served again within this time, or the run fails. */
const RECOVERY_MS = 60_000;
/** The 10 s rule: so long after the faults everything that is deliverable is delivered. */
const QUIET_MS = 10_000;
/** The rest of the last words' time is for a machine that is busy with something else: it is reported, not judged. */
const QUIET_PATIENCE_MS = 60_000;
const LEASE_MS = 15_000;
/** After this long what was written is safe from a power cut, with a second to spare. */
const SETTLED_MS = 2_500;
const SHARE_WITHOUT_REST = 0.2;
const MAX_REST_MS = 2_500;
const DISK_MIB = 400;
const FILE_DISK_MIB = 128;

/** One run: load, faults, quiet, judgement. Throws when a client met what no fault explains. */
export async function runChaos(options: ChaosOptions, folder: string, events: ChaosEvents): Promise<ChaosReport> {
  const random = createSeededRandom(options.seed);
  const scratch = mkdtempSync(join(tmpdir(), "agentbus-chaos-"));
  const plan = planStage(options.rate * options.minutes * 60);
  const history = new ChannelHistories(folder, plan.all);
  const watch = new ServiceWatch();
  const closing: Closing = [() => rmSync(scratch, { recursive: true, force: true }), () => history.close()];
  try {
    const stage = await openStage(options, scratch, random, closing);
    const kinds = possibleFaults(stage).filter((kind) => options.faults?.includes(kind) ?? true);
    const notPossible = (options.faults ?? []).filter((kind) => !kinds.includes(kind));
    if (kinds.length === 0) throw new Error(`none of the faults can be made on ${options.backend} here`);
    await prepare(stage.cluster, plan, options);
    if (stage.power !== undefined) {
      // What a power cut takes is judged by what clients were told of messages; the logs are to be there.
      await sayInEach(stage.cluster, history, plan.all, "first");
      await pause(SETTLED_MS);
    }

    const pythonHistory = join(folder, "python.jsonl");
    const { seed, rate } = options;
    const load = await Load.start({
      cluster: stage.cluster,
      history,
      watch,
      plan,
      seed: seed + 1,
      rate,
      pythonHistory,
    });
    closing.push(() => load.abandon());
    const stopOperations = new AbortController();
    const operationsSdk = openSdk(stage.cluster.urls, 0, OPERATIONS_LINK);
    closing.push(() => operationsSdk.close());
    const faultLog = new FaultLog(options.nodes);
    const operations = new ChannelOperations(operationsSdk, faultLog, stopOperations.signal);
    operations.done.catch(() => {});
    const failed = Promise.race([load.failed, operations.done.then(() => new Promise<never>(() => {}))]);
    failed.catch(() => {});
    events.onStart(watch);

    const sinceMs = Date.now();
    await recovered(watch, sinceMs, failed, "before the first fault");
    const { counts, recoveriesMs } = await makeFaults({ options, stage, kinds, watch, failed, faultLog, events });
    const faultsOverAtMs = Date.now();

    events.onStep("quiet: producers finish");
    stopOperations.abort();
    const violations: Violation[] = [];
    await load.finish();
    await operations.done;
    events.onStep("quiet: readers read to the end");
    await publishEnds({ cluster: stage.cluster, history, channels: plan.all, load, timeoutMs: QUIET_PATIENCE_MS });
    const quietMs = Date.now() - faultsOverAtMs;
    if (quietMs > QUIET_MS) {
      violations.push({
        rule: "UNDELIVERED",
        text: `everything was read only ${quietMs} ms after the faults were over`,
      });
    }
    for (const reader of load.readers) history.record({ kind: "settled", reader });
    await presenceIs(stage.cluster, true, violations);

    events.onStep("quiet: the logs of all nodes are compared");
    for (const text of await recordAndCompareLogs(stage.cluster, history, plan.judged))
      violations.push({ rule: "LOG_HOLE", text });
    await load.stop();
    await presenceIs(stage.cluster, false, violations);
    await history.takeOver(pythonHistory);
    await history.close();

    events.onStep("the history is judged");
    const resumesMs = watch.resumes.map(({ ms }) => ms);
    const judgement = await judge(history, plan, stage.losses);
    return {
      seed,
      backend: options.backend,
      nodes: options.nodes,
      durability: options.durability,
      seconds: Math.round((Date.now() - sinceMs) / 1_000),
      faults: counts,
      notPossible,
      acked: watch.acked,
      ...judgement,
      violations: [...violations, ...judgement.violations],
      longestRecoveryMs: Math.round(Math.max(0, ...recoveriesMs)),
      medianRecoveryMs: Math.round(quantile(recoveriesMs, 0.5) ?? 0),
      quietMs,
      resumes: watch.resumes.length,
      resumeP50Ms: quantile(resumesMs, 0.5),
      resumeP99Ms: quantile(resumesMs, 0.99),
      slowestResume: watch.resumes.toSorted((a, b) => b.ms - a.ms)[0]?.client,
      operations: operations.figures,
    };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** STORED: what ends a server that has not written everything yet. MariaDB writes before it answers, and only syncs later. */
const LOSES_BY: Readonly<Record<"redis" | "postgres" | "mysql", readonly FaultKind[]>> = {
  redis: ["backend-kill", "disk-full"],
  postgres: ["backend-kill", "backend-immediate", "disk-full"],
  mysql: [],
};

/** MiB for the messages of a run, about 2 KiB each with everything that is kept of them. */
function roomFor({ rate, minutes }: ChaosOptions): number {
  return Math.ceil((rate * minutes * 60) / 500);
}

type Closing = (() => Promise<void> | void)[];

async function openStage(
  options: ChaosOptions,
  scratch: string,
  random: () => number,
  closing: Closing,
): Promise<Stage> {
  const { backend, durability, nodes, seed } = options;
  const wantsDisk = (options.faults?.includes("disk-full") ?? true) && canMountDisks();
  const prefix = `chaos${randomBytes(4).toString("hex")}`;
  if (backend === "memory" || backend === "file") {
    const folder = join(scratch, "disk");
    const hasDisk = backend === "file" && wantsDisk;
    if (hasDisk) {
      mountDisk(folder, FILE_DISK_MIB + roomFor(options));
      closing.push(() => unmount(folder));
    }
    const storageUrl = () => (backend === "memory" ? "memory:" : `file:${join(folder, "data")}`);
    const env = { AGENTBUS_STORAGE__MEMORY__RING_SIZE: "1000000" };
    const cluster = await Cluster.open({ nodes, storageUrl, seed, env });
    closing.push(() => cluster.close());
    const disk = hasDisk ? new Disk(folder) : undefined;
    const isVolatile = backend === "memory";
    const losesBy = new Set<FaultKind>();
    return { cluster, backend: undefined, power: undefined, disk, random, losses: [], losesBy, isVolatile };
  }
  const name = backend === "mysql" ? "mariadb" : backend;
  const server = await BackendServer.launch({
    name,
    durability,
    ...(wantsDisk ? { diskMiB: DISK_MIB + roomFor(options) } : {}),
  });
  closing.push(() => server.discard());
  const losses: LossWindow[] = [];
  const losesBy = new Set(durability === "STORED" ? LOSES_BY[backend] : []);
  const power = backend === "redis" && durability === "STORED" ? new PowerSwitch(server, losses) : undefined;
  closing.push(() => power?.close());
  const storageUrl = (port: number) => `${server.kind.url("127.0.0.1", port)}?prefix=${prefix}`;
  const cluster = await Cluster.open({ nodes, storageUrl, backendPort: server.port, seed });
  closing.push(() => cluster.close());
  const disk = wantsDisk ? new Disk(server.folder) : undefined;
  return { cluster, backend: server, power, disk, random, losses, losesBy, isVolatile: false };
}

async function prepare(cluster: Cluster, plan: StagePlan, { backend, durability }: ChaosOptions): Promise<void> {
  using clients = openClients(cluster.nodes[0]!.directUrl);
  for (const agentId of AGENTS) await clients.agents.registerAgent({ agent: { agentId, kind: AgentKind.AI_AGENT } });
  const promised = backend === "memory" ? Durability.VOLATILE : Durability[durability];
  for (const { channel } of plan.open) {
    const config = { durability: promised };
    await clients.rooms.createChannel({ channel: { room: ROOM, channel, config }, createRoom: true });
  }
  const config = { durability: Durability.VOLATILE };
  await clients.rooms.createChannel({ channel: { room: ROOM, channel: FLEETING, config } });
  await clients.rooms.joinChannel({ agentId: "cid", room: ROOM, channel: MIXED });
  await Promise.all(cluster.nodes.map(seesMember));
}

/** Other nodes hear of a membership within a second; who subscribes there before that reads from then on. */
async function seesMember({ directUrl, name }: ClusterNode): Promise<void> {
  using clients = openClients(directUrl);
  const isMember = async () => {
    const { members } = await clients.rooms.listMembers({ room: ROOM, channel: MIXED });
    return members.some(({ agentId }) => agentId === "cid");
  };
  await waitUntil(isMember, { what: `${name} to see who joined` });
}

interface Making {
  readonly options: ChaosOptions;
  readonly stage: Stage;
  readonly kinds: readonly FaultKind[];
  readonly watch: ServiceWatch;
  readonly failed: Promise<never>;
  readonly faultLog: FaultLog;
  readonly events: ChaosEvents;
}

async function makeFaults({ options, stage, kinds, watch, failed, faultLog, events }: Making) {
  const counts: Partial<Record<FaultKind, number>> = {};
  const recoveriesMs: number[] = [];
  const endAtMs = Date.now() + options.minutes * 60_000;
  const { random } = stage;
  for (let isLast = false; !isLast; ) {
    const faults = drawRound(kinds, stage);
    for (const { kind } of faults) counts[kind] = (counts[kind] ?? 0) + 1;
    const isLoneKill = faults.length === 1 && faults[0]!.kind === "node-kill" && stage.cluster.nodes.length > 1;
    const goesOn = random() < SHARE_WITHOUT_REST;
    const restMs = random() * MAX_REST_MS;
    if (isLoneKill) watch.nodeIsLost();
    const onFault = (fault: Fault, phase: "begins" | "is over") => {
      faultLog.note(fault, phase);
      events.onFault(fault, phase);
    };
    await Promise.race([failed, runRound(faults, random, onFault)]);
    const overAtMs = Date.now();
    isLast = overAtMs >= endAtMs;
    // Now and then the next faults come while everybody still recovers.
    if (goesOn && !isLast && !isLoneKill) continue;
    const what = faults.map(({ kind }) => kind).join(", ");
    const waitedFor = await recovered(watch, overAtMs, failed, `after ${what}`);
    watch.nodeIsBack();
    const recoveryMs = Date.now() - overAtMs;
    recoveriesMs.push(recoveryMs);
    events.onRecovered(recoveryMs, waitedFor);
    if (!isLast) await Promise.race([failed, pause(restMs)]);
  }
  return { counts, recoveriesMs };
}

/** Resolves when everybody was served since; answers who was the last. */
async function recovered(
  watch: ServiceWatch,
  sinceMs: number,
  failed: Promise<never>,
  when: string,
): Promise<readonly string[]> {
  let behind: readonly string[] = [];
  const all = waitUntil(
    () => {
      const now = watch.behind(sinceMs);
      if (now.length > 0) behind = now;
      return now.length === 0;
    },
    { timeoutMs: RECOVERY_MS, what: () => `${behind.join(", ")} not served within ${RECOVERY_MS} ms ${when}` },
  );
  await Promise.race([failed, all]);
  return behind;
}

/** Those who read are present while they do, and offline when they have left, by every node. */
async function presenceIs(cluster: Cluster, isPresent: boolean, violations: Violation[]): Promise<void> {
  const readers = ["cid", "dot", "eve", "fay", "gus", "hal"];
  try {
    await expectPresence(cluster, readers, isPresent, isPresent ? QUIET_MS : LEASE_MS + QUIET_MS);
  } catch (error) {
    violations.push({ rule: "UNDELIVERED", text: `presence: ${error instanceof Error ? error.message : error}` });
  }
}
