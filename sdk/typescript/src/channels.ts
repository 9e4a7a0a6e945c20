import { parseAddress } from "./address.ts";
import { type ChannelSettings, settingsMask, settingsToProto } from "./channel-settings.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { present } from "./errors.ts";
import type { Channel, Member } from "./gen/agentbus/v1/room_pb.ts";
import { pages } from "./paging.ts";

/** What a channel is. */
export interface ChannelInit extends ChannelSettings {
  readonly description?: string;
  /** Free key-value pairs that the bus does not read. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Ordered logs in rooms. Each is named "room:channel". */
export class Channels {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The same again is fine; other settings are CHANNEL_EXISTS. `createRoom`: also the room, when there is none. */
  async create(
    channel: string,
    settings: ChannelInit & { readonly createRoom?: boolean } = {},
    options?: CallOptions,
  ): Promise<Channel> {
    const request = { channel: channelInit(channel, settings), createRoom: settings.createRoom ?? false };
    const response = await this.#connection.call(
      (call) => this.#connection.clients.rooms.createChannel(request, call),
      options,
    );
    return present(response.channel, "createChannel");
  }

  /** Changes what is given. Changed routing holds behind the position that the answer names. */
  async update(
    channel: string,
    changes: ChannelInit,
    options?: CallOptions,
  ): Promise<{ channel: Channel; effectivePosition: string }> {
    const request = { channel: channelInit(channel, changes), updateMask: { paths: channelMask(changes) } };
    const response = await this.#connection.call(
      (call) => this.#connection.clients.rooms.updateChannel(request, call),
      options,
    );
    return { channel: present(response.channel, "updateChannel"), effectivePosition: response.effectivePosition };
  }

  async get(channel: string, options?: CallOptions): Promise<Channel> {
    const response = await this.#connection.call(
      (call) => this.#connection.clients.rooms.getChannel(parseAddress(channel), call),
      options,
    );
    return present(response.channel, "getChannel");
  }

  /** By name, of one room or of all; `pattern` as in `subscribe`. Pages are fetched as they are needed. */
  list(
    filter: { readonly room?: string; readonly pattern?: string } = {},
    options?: CallOptions,
  ): AsyncGenerator<Channel, undefined, undefined> {
    const { room = "", pattern = "" } = filter;
    return pages(async (pageToken) => {
      const page = await this.#connection.call(
        (call) => this.#connection.clients.rooms.listChannels({ room, pattern, pageToken }, call),
        options,
      );
      return { items: page.channels, nextPageToken: page.nextPageToken };
    });
  }

  /** Who joined it, by id. */
  members(channel: string, options?: CallOptions): AsyncGenerator<Member, undefined, undefined> {
    const address = parseAddress(channel);
    return pages(async (pageToken) => {
      const page = await this.#connection.call(
        (call) => this.#connection.clients.rooms.listMembers({ ...address, pageToken }, call),
        options,
      );
      return { items: page.members, nextPageToken: page.nextPageToken };
    });
  }

  /** With all its messages. Subscriptions that name it end with CHANNEL_DELETED. */
  async delete(channel: string, options?: CallOptions): Promise<void> {
    await this.#connection.callOnce(
      (call) => this.#connection.clients.rooms.deleteChannel(parseAddress(channel), call),
      options,
    );
  }
}

function channelInit(address: string, settings: ChannelInit) {
  const { description = "", metadata = {} } = settings;
  const init = { ...parseAddress(address), description, metadata: { ...metadata } };
  return settingsMask("config", settings).length === 0 ? init : { ...init, config: settingsToProto(settings) };
}

function channelMask(changes: ChannelInit): string[] {
  const paths = settingsMask("config", changes);
  if (changes.description !== undefined) paths.push("description");
  if (changes.metadata !== undefined) paths.push("metadata");
  return paths;
}
