import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HEADER_BYTES } from "../core/frame";
import { attachStream } from "./stream";

type Decoding = { finish: (width: number, height: number) => void; fail: () => void };
let decoding: Decoding[] = [];

beforeEach(() => {
  decoding = [];
  const decode = () =>
    new Promise((resolve, reject) => {
      decoding.push({
        finish: (width, height) => resolve({ width, height, close: () => undefined }),
        fail: () => reject(new Error("broken JPEG")),
      });
    });
  vi.stubGlobal("createImageBitmap", decode);
});
afterEach(() => void vi.unstubAllGlobals());

function screen() {
  const said: string[] = [];
  const ages: number[] = [];
  const drawImage = () => said.push("drawn");
  const canvas = { width: 0, height: 0, getContext: () => ({ drawImage }) };
  const stream = attachStream(canvas as unknown as HTMLCanvasElement, {
    drawn: (ageMs) => ages.push(ageMs),
    shown: (seq) => said.push(`shown ${seq}`),
    resized: ({ width, height }) => said.push(`${width}x${height}`),
  });
  const show = (seq: number) => {
    const frame = new DataView(new ArrayBuffer(HEADER_BYTES + 4));
    frame.setBigUint64(0, BigInt(seq));
    frame.setUint32(8, seq * 1000);
    stream.show(frame.buffer);
  };
  /** Ends the decoding under way and tells what the page said because of it. */
  const decoded = async (end: (under: Decoding) => void) => {
    const under = decoding.shift();
    if (under === undefined) throw new Error("nothing is being decoded");
    end(under);
    // What follows a decoding are promises only, and these are more turns than it has.
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    return said.splice(0);
  };
  return { canvas, stream, show, decoded, said, ages };
}

test("a picture is acknowledged once it is drawn, and a new size is told", async () => {
  const { canvas, show, decoded } = screen();
  show(7);
  expect(await decoded(({ finish }) => finish(720, 400))).toEqual(["720x400", "drawn", "shown 7"]);
  expect(canvas).toMatchObject({ width: 720, height: 400 });
  show(8);
  expect(await decoded(({ finish }) => finish(720, 400))).toEqual(["drawn", "shown 8"]);
});

test("the latest waits, and who was overtaken is acknowledged without being drawn", async () => {
  const { show, decoded, said } = screen();
  show(1);
  show(2);
  show(3);
  expect(said).toEqual(["shown 2"]);
  said.length = 0;
  expect(await decoded(({ finish }) => finish(0, 0))).toEqual(["drawn", "shown 1"]);
  expect(decoding).toHaveLength(1);
  expect(await decoded(({ finish }) => finish(0, 0))).toEqual(["drawn", "shown 3"]);
});

test("a broken picture is survived and acknowledged", async () => {
  const { show, decoded, ages } = screen();
  show(1);
  expect(await decoded(({ fail }) => fail())).toEqual(["shown 1"]);
  show(2);
  expect(await decoded(({ finish }) => finish(0, 0))).toEqual(["drawn", "shown 2"]);
  expect(ages).toEqual([2]);
});

test("after undo nothing is drawn, and what was on its way is acknowledged", async () => {
  const { stream, show, decoded, said } = screen();
  show(1);
  show(2);
  said.length = 0;
  stream.undo();
  show(3);
  expect(said).toEqual(["shown 2"]);
  said.length = 0;
  expect(await decoded(({ finish }) => finish(9, 9))).toEqual(["shown 1"]);
  expect(decoding).toEqual([]);
});
