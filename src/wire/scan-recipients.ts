import { AGENT_KINDS, type AgentKind } from "../core/agent.ts";
import { BusError } from "../core/errors.ts";
import type { Recipients, Selection } from "../core/message.ts";
import { isAgentId, quote } from "../core/names.ts";
import { BYTES, malformed, VARINT, WireReader } from "./reader.ts";

const MAX_AGENTS = 1_000;
const MAX_GROUPS = 100;
const MAX_KINDS = 8;
const MAX_LABELS = 16;
const MAX_CAPABILITIES = 16;
const MAX_CAPABILITY_BYTES = 128;
const MAX_LIMIT = 1_000;

/** What `to` says, gathered over all its occurrences: protobuf merges a message field that comes twice. */
export class RecipientsScan {
  readonly #agents: string[] = [];
  readonly #groups: string[] = [];
  readonly #kinds: AgentKind[] = [];
  readonly #labels: Record<string, string> = {};
  readonly #capabilities: string[] = [];
  #labelCount = 0;
  #limit = 0;
  #selects = false;

  /** Reads one occurrence of the field. An unknown field in it is refused: ignoring it could widen the audience. */
  add(buffer: Buffer, start: number, end: number): void {
    const reader = new WireReader(buffer, start, end);
    while (reader.next()) {
      if (reader.field > 3) throw unknownField("to", reader.field);
      reader.expect(BYTES, "to");
      if (reader.field === 1) this.#agents.push(agentId(reader, "to.agents"));
      else if (reader.field === 2) this.#groups.push(agentId(reader, "to.groups"));
      else this.#addSelection(buffer, reader.start, reader.end);
    }
    if (this.#agents.length > MAX_AGENTS) throw invalid("to.agents", `has more than ${MAX_AGENTS} agents`);
    if (this.#groups.length > MAX_GROUPS) throw invalid("to.groups", `has more than ${MAX_GROUPS} groups`);
  }

  /** Throws EMPTY_RECIPIENTS when all of it names nobody. */
  finish(): Recipients {
    const select = this.#selection();
    if (this.#agents.length === 0 && this.#groups.length === 0 && select === undefined) {
      throw new BusError("EMPTY_RECIPIENTS", "`to` is set but names nobody; leave it unset to let the channel decide");
    }
    return { agents: this.#agents, groups: this.#groups, select };
  }

  #selection(): Selection | undefined {
    if (!this.#selects) return undefined;
    if (this.#kinds.length === 0 && this.#labelCount === 0 && this.#capabilities.length === 0) {
      throw new BusError("EMPTY_RECIPIENTS", "`to.select` describes nobody: give kinds, labels or capabilities");
    }
    return { kinds: this.#kinds, labels: this.#labels, capabilities: this.#capabilities, limit: this.#limit };
  }

  #addSelection(buffer: Buffer, start: number, end: number): void {
    this.#selects = true;
    const reader = new WireReader(buffer, start, end);
    while (reader.next()) {
      switch (reader.field) {
        case 1:
          this.#addKinds(reader);
          break;
        case 2:
          reader.expect(BYTES, "to.select.labels");
          this.#addLabel(buffer, reader.start, reader.end);
          break;
        case 3:
          reader.expect(BYTES, "to.select.capabilities");
          if (reader.length === 0 || reader.length > MAX_CAPABILITY_BYTES) {
            throw invalid("to.select.capabilities", `must be 1 to ${MAX_CAPABILITY_BYTES} bytes each`);
          }
          this.#capabilities.push(reader.string("to.select.capabilities"));
          break;
        case 4:
          reader.expect(VARINT, "to.select.limit");
          this.#limit = reader.int32();
          if (this.#limit < 0 || this.#limit > MAX_LIMIT) throw invalid("to.select.limit", `must be 0 to ${MAX_LIMIT}`);
          break;
        default:
          throw unknownField("to.select", reader.field);
      }
    }
    if (this.#kinds.length > MAX_KINDS) throw invalid("to.select.kinds", `has more than ${MAX_KINDS}`);
    if (this.#labelCount > MAX_LABELS) throw invalid("to.select.labels", `has more than ${MAX_LABELS}`);
    if (this.#capabilities.length > MAX_CAPABILITIES) {
      throw invalid("to.select.capabilities", `has more than ${MAX_CAPABILITIES}`);
    }
  }

  /** An enum list comes packed or one by one. */
  #addKinds(reader: WireReader): void {
    if (reader.type === VARINT) {
      this.#kinds.push(kind(reader.int32()));
      return;
    }
    reader.expect(BYTES, "to.select.kinds");
    let value = 0;
    let shift = 0;
    for (let i = reader.start; i < reader.end; i++) {
      const byte = reader.buffer[i]!;
      value |= (byte & 0x7f) << Math.min(shift, 31);
      shift += 7;
      if (byte < 0x80) {
        this.#kinds.push(kind(value));
        value = 0;
        shift = 0;
      } else if (shift > 63) throw malformed("a number has more than 10 bytes");
    }
    if (shift !== 0) throw malformed("it ends within a number");
  }

  #addLabel(buffer: Buffer, start: number, end: number): void {
    const reader = new WireReader(buffer, start, end);
    let key = "";
    let value = "";
    while (reader.next()) {
      if (reader.field > 2) throw unknownField("to.select.labels", reader.field);
      reader.expect(BYTES, "to.select.labels");
      if (reader.field === 1) key = reader.string("to.select.labels");
      else value = reader.string("to.select.labels");
    }
    if (!Object.hasOwn(this.#labels, key)) this.#labelCount++;
    Object.defineProperty(this.#labels, key, { value, enumerable: true, configurable: true, writable: true });
  }
}

function agentId(reader: WireReader, field: string): string {
  const id = reader.string(field);
  if (!isAgentId(id)) throw invalid(field, `${quote(id)} must be 1 to 128 of A-Z a-z 0-9 . _ @ | : / + -`);
  return id;
}

function kind(value: number): AgentKind {
  const found = AGENT_KINDS[value - 1];
  if (found === undefined) throw invalid("to.select.kinds", `${value} is not a kind of agent`);
  return found;
}

function unknownField(where: string, field: number): BusError {
  return new BusError(
    "UNKNOWN_FIELD",
    `${where} has the field ${field}, which this server does not know; ignoring it could widen who reads the message`,
  );
}

export function invalid(field: string, description: string): BusError {
  return new BusError("INVALID_FIELD", `${field} ${description}`, { violations: [{ field, description }] });
}
