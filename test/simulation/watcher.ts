import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { AgentState } from "../../gen/agentbus/v1/agent_pb.ts";
import {
  AgentChangeKind,
  WatchAgentsRequestSchema,
  type WatchAgentsResponse,
  WatchAgentsResponseSchema,
} from "../../gen/agentbus/v1/agent_service_pb.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { isBusError } from "../../src/core/errors.ts";
import type { Access } from "../../src/rpc/handlers/access.ts";
import { createAgentHandlers } from "../../src/rpc/handlers/agent-handlers.ts";
import type { DuplexLinks, DuplexService, StreamEnd } from "./connection.ts";
import { outcomeOf } from "./outcome.ts";
import type { World } from "./world.ts";

/** A client that watches who is here, and begins anew on any node when its stream ends. */
export class Watcher {
  readonly name: string;
  /** Agents that are here, as it was told. */
  readonly here = new Set<string>();
  isOpen = false;
  readonly #world: World;
  #isStopped = false;
  #close = () => {};

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  async run(): Promise<void> {
    const { dice } = this.#world;
    while (!this.#isStopped) {
      const connection = this.#world.connect();
      if (connection !== undefined) {
        this.here.clear();
        const cause = await new Promise<StreamEnd>((ended) => {
          const stream = connection.duplex<never, WatchAgentsResponse>((bus, links) => serveWatch(bus, links), {
            answer: (response) => this.#take(response),
            ended,
          });
          this.#close = () => {
            stream.close();
            ended(undefined);
          };
        });
        this.isOpen = false;
        this.#world.release(connection);
        if (cause !== undefined) outcomeOf(cause);
      }
      await this.#world.sleep(dice.between(1, 500));
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#close();
  }

  #take({ changes, caughtUp }: WatchAgentsResponse): void {
    if (caughtUp) this.isOpen = true;
    for (const { kind, agent } of changes) {
      if (kind === AgentChangeKind.DELETED || agent?.state === AgentState.OFFLINE) this.here.delete(agent!.agentId);
      else this.here.add(agent!.agentId);
    }
  }
}

function serveWatch(bus: Bus, { send, end, fail }: DuplexLinks<WatchAgentsResponse>): DuplexService<never> {
  const left = new AbortController();
  const { limits, agentLeaseMs } = bus.options;
  const handlers = createAgentHandlers({ agents: bus.agents, access: UNASKED, limits, agentLeaseMs });
  const watch = async () => {
    const context = { signal: left.signal } as HandlerContext;
    const responses = handlers.watchAgents(create(WatchAgentsRequestSchema), context);
    for await (const response of responses) send(create(WatchAgentsResponseSchema, response));
  };
  watch().then(
    () => end(undefined),
    (error: unknown) => (isBusError(error) ? end(error) : fail(error)),
  );
  return { receive: () => {}, gone: () => left.abort() };
}

/** To watch needs no identity. */
const UNASKED = {} as Access;
