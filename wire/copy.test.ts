// The way of CopyData to the COPY that takes it: nothing lost, nothing out of order, large and small alike.
import { expect, test } from "vitest";
import { CopyInbox } from "./copy.ts";

const EMPTY = new Uint8Array(0);

const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

async function take(inbox: CopyInbox): Promise<number[]> {
  const taken: number[] = [];
  for (let chunk = await inbox.next(); chunk !== undefined; chunk = await inbox.next()) taken.push(...chunk);
  return taken;
}

test("chunks keep their order whatever their size, joined as far as a block goes", async () => {
  const inbox = new CopyInbox(() => undefined);
  const sizes = [3, 5, 5000, 100_000, 1024, 64_000, 0, 7];
  for (const [i, size] of sizes.entries()) inbox.offer(bytes(size, i));
  inbox.done();
  expect((await inbox.next())?.length).toBe(5008);
  expect((await inbox.next())?.length).toBe(100_000);
  expect(await take(inbox)).toEqual(
    sizes.slice(4).flatMap((size, i) => Array.from({ length: size }, () => i + 4)),
  );
});

test.each([4, 100_000])(
  "a chunk of %i bytes is copied: the socket's memory may be used again",
  async (size) => {
    const inbox = new CopyInbox(() => undefined);
    const chunk = bytes(size, 1);
    inbox.offer(chunk);
    chunk.fill(9);
    inbox.done();
    expect(await take(inbox)).toEqual(Array.from({ length: size }, () => 1));
  },
);

test("more small chunks than a block holds", async () => {
  const inbox = new CopyInbox(() => undefined);
  for (let i = 0; i < 200; i++) inbox.offer(bytes(1000, i));
  inbox.done();
  expect(await take(inbox)).toEqual(Array.from({ length: 200_000 }, (_, i) => Math.floor(i / 1000)));
});

test("the memory of a chunk is used again, and never while it or what follows it is still wanted", async () => {
  const inbox = new CopyInbox(() => undefined);
  const memories = new Set<ArrayBufferLike>();
  for (let i = 0; i < 30; i++) {
    for (let part = 0; part < 3; part++) inbox.offer(bytes(20_000 + i, i));
    const taken: number[] = [];
    while (taken.length < 3 * (20_000 + i)) {
      const chunk = (await inbox.next()) ?? EMPTY;
      inbox.offer(EMPTY);
      memories.add(chunk.buffer);
      taken.push(...chunk);
    }
    expect(taken.every((byte) => byte === i % 256)).toBe(true);
  }
  expect(memories.size).toBeLessThan(10);
});

test("who waits goes on with the next chunk; room is told once a full inbox was emptied", async () => {
  let told = 0;
  const inbox = new CopyInbox(() => (told += 1));
  const waiting = inbox.next();
  inbox.offer(bytes(2, 7));
  expect([...((await waiting) ?? [])]).toEqual([7, 7]);
  while (!inbox.isFull) inbox.offer(bytes(100_000, 1));
  expect(told).toBe(0);
  for (let chunk = inbox.next(); inbox.isFull; chunk = inbox.next()) expect(chunk).toBeDefined();
  expect(told).toBe(1);
});

test("a failure counts before what is queued", async () => {
  const inbox = new CopyInbox(() => undefined);
  inbox.offer(bytes(2000, 1));
  inbox.fail(new Error("gone"));
  expect(() => inbox.next()).toThrow("gone");
  const waitingInbox = new CopyInbox(() => undefined);
  const waiting = waitingInbox.next();
  waitingInbox.fail(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
});
