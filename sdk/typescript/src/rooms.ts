import { type ChannelSettings, settingsMask, settingsToProto } from "./channel-settings.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { type RoomChangeName, roomChanges } from "./enums.ts";
import { present } from "./errors.ts";
import type { Room } from "./gen/agentbus/v1/room_pb.ts";
import { pages } from "./paging.ts";
import { type WatchOptions, watch } from "./watch.ts";

/** What a room is. The channel settings hold for its channels unless they say otherwise. */
export interface RoomSettings extends ChannelSettings {
  readonly description?: string;
  /** Free key-value pairs that the bus does not read. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Whether a channel that is used but does not exist is created. Default: as the server is configured. */
  readonly autoCreateChannels?: boolean;
}

export interface RoomChange {
  readonly change: RoomChangeName | "unknown";
  /** "room:channel"; undefined: the room itself. */
  readonly channel: string | undefined;
  /** Who joined or left. */
  readonly agentId: string | undefined;
}

/** Where agents talk: namespaces of channels. */
export class Rooms {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The same again is fine; other settings are ROOM_EXISTS. */
  async create(room: string, settings: RoomSettings = {}, options?: CallOptions): Promise<Room> {
    const request = { room: roomInit(room, settings) };
    const response = await this.#connection.call(
      (call) => this.#connection.clients.rooms.createRoom(request, call),
      options,
    );
    return present(response.room, "createRoom");
  }

  /** Changes what is given. Changed routing holds for each channel behind the position that the answer names. */
  async update(
    room: string,
    changes: RoomSettings,
    options?: CallOptions,
  ): Promise<{ room: Room; effectivePositions: readonly string[] }> {
    const request = { room: roomInit(room, changes), updateMask: { paths: roomMask(changes) } };
    const response = await this.#connection.call(
      (call) => this.#connection.clients.rooms.updateRoom(request, call),
      options,
    );
    return { room: present(response.room, "updateRoom"), effectivePositions: response.effectivePositions };
  }

  async get(room: string, options?: CallOptions): Promise<Room> {
    const response = await this.#connection.call(
      (call) => this.#connection.clients.rooms.getRoom({ room }, call),
      options,
    );
    return present(response.room, "getRoom");
  }

  /** By name; `pattern`, for example "lab.*". Pages are fetched as they are needed. */
  list(pattern = "", options?: CallOptions): AsyncGenerator<Room, undefined, undefined> {
    return pages(async (pageToken) => {
      const page = await this.#connection.call(
        (call) => this.#connection.clients.rooms.listRooms({ pattern, pageToken }, call),
        options,
      );
      return { items: page.rooms, nextPageToken: page.nextPageToken };
    });
  }

  /** With `force` also when it has channels, with all their messages. */
  async delete(
    room: string,
    { force = false, ...options }: CallOptions & { readonly force?: boolean } = {},
  ): Promise<void> {
    await this.#connection.callOnce(
      (call) => this.#connection.clients.rooms.deleteRoom({ room, force }, call),
      options,
    );
  }

  /** Tells what happens in a room, until the loop is left. What happens while the stream is cut is not told. */
  async *watch(room: string, options: WatchOptions = {}): AsyncGenerator<RoomChange, undefined, undefined> {
    const open = (signal: AbortSignal) => this.#connection.clients.rooms.watchRoom({ room }, { signal, timeoutMs: 0 });
    for await (const { changes } of watch(this.#connection, `the watch of room ${room}`, open, options)) {
      for (const { kind, channel, agentId } of changes) {
        yield {
          change: roomChanges.fromProto(kind),
          channel: channel === "" ? undefined : `${room}:${channel}`,
          agentId: agentId === "" ? undefined : agentId,
        };
      }
    }
  }
}

function roomInit(room: string, settings: RoomSettings) {
  const { description = "", metadata = {}, autoCreateChannels } = settings;
  const init = {
    room,
    description,
    metadata: { ...metadata },
    ...(autoCreateChannels === undefined ? {} : { autoCreateChannels }),
  };
  return settingsMask("defaults", settings).length === 0 ? init : { ...init, defaults: settingsToProto(settings) };
}

function roomMask(changes: RoomSettings): string[] {
  const paths = settingsMask("defaults", changes);
  if (changes.description !== undefined) paths.push("description");
  if (changes.metadata !== undefined) paths.push("metadata");
  if (changes.autoCreateChannels !== undefined) paths.push("auto_create_channels");
  return paths;
}
