// Frames out of chunks that all arrive in one memory, as those of a socket do: whatever the cuts, nothing of a chunk may be
// read after the next one has overwritten it.
import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader } from "./frame-reader.ts";

function frame(body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes[0] = 0x64;
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.set(body, 5);
  return bytes;
}

test("frames are what was sent, cut anywhere, read at once or late", () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
  const cuts = fc.array(fc.record({ size: fc.integer({ min: 1, max: 60 }), reads: fc.nat(6) }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(bodies, cuts, (sent, steps) => {
      const stream = Buffer.concat(sent.map(frame));
      const memory = Buffer.alloc(80, 0x64);
      const reader = new FrameReader();
      reader.expect("typed", () => 1000);
      const got: string[] = [];
      const read = (count: number): void => {
        for (let i = 0; i < count && reader.next(); i++)
          got.push(reader.buffer.toString("hex", reader.start, reader.end));
      };
      for (let at = 0, i = 0; at < stream.length; i++) {
        const { size, reads } = steps[i % steps.length] ?? { size: 1, reads: 1 };
        // Somewhere in a larger memory, as the chunks of sockets that are read together are.
        const start = i % 7;
        const count = stream.copy(memory, start, at, Math.min(at + size, stream.length));
        at += count;
        reader.push(memory, start, start + count);
        read(reads);
        reader.keep();
        memory.fill(0xff);
      }
      read(Number.POSITIVE_INFINITY);
      expect(got).toEqual(sent.map((body) => Buffer.from(body).toString("hex")));
      expect(reader.bufferedBytes).toBe(0);
    }),
  );
});
