const LENGTH_BYTES = 4;

/** Several packets as one block of bytes: each behind its length. */
export function bundle(packets: readonly Uint8Array[]): Buffer {
  let bytes = 0;
  for (const packet of packets) bytes += LENGTH_BYTES + packet.length;
  const block = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const packet of packets) {
    at = block.writeUInt32BE(packet.length, at);
    block.set(packet, at);
    at += packet.length;
  }
  return block;
}

/** The packets of a block. Throws a RangeError when it is not one. */
export function unbundle(block: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 0; at < block.length; ) {
    const length = block.readUInt32BE(at);
    at += LENGTH_BYTES;
    if (at + length > block.length) throw new RangeError("a bundle of packets is cut off");
    packets.push(block.subarray(at, at + length));
    at += length;
  }
  return packets;
}

export function bundledBytes(packet: Uint8Array): number {
  return LENGTH_BYTES + packet.length;
}
