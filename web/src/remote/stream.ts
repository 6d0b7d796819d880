/**
 * Draws pictures on a canvas, the latest first and only.
 *
 * One picture is decoded at a time and at most one waits; a newer one takes its place. Every picture
 * is acknowledged, drawn or not, because the daemon sends few that it has not heard of.
 */
import { parseFrame, type Frame } from "../core/frame";
import type { Size } from "../core/geometry";

export type StreamPorts = {
  shown: (seq: number) => void;
  /** A picture is on the screen that was captured so long ago. */
  drawn: (ageMs: number) => void;
  /** A picture of another size than the one before is on the screen. */
  resized: (size: Size) => void;
};

export type Stream = { show: (data: ArrayBuffer) => void; undo: () => void };

export function attachStream(canvas: HTMLCanvasElement, ports: StreamPorts): Stream {
  // Out of step with the page's own drawing saves a frame of delay where the browser takes the hint;
  // the price, a torn picture now and then, is one that every capture device asks already.
  const pen = canvas.getContext("2d", { alpha: false, desynchronized: true });
  let waiting: Frame | null = null;
  let busy = false;
  let ended = false;

  const draw = async ({ jpeg, ageMs }: Frame) => {
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    if (ended) return bitmap.close();
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      ports.resized({ width: bitmap.width, height: bitmap.height });
    }
    pen?.drawImage(bitmap, 0, 0);
    bitmap.close();
    ports.drawn(ageMs);
  };

  const drain = async () => {
    if (busy) return;
    busy = true;
    while (waiting !== null && !ended) {
      const frame: Frame = waiting;
      waiting = null;
      try {
        await draw(frame);
      } catch {
        // Cheap capture devices send a broken JPEG now and then; the next one repairs it.
      }
      ports.shown(frame.seq);
    }
    busy = false;
  };

  return {
    show(data) {
      const frame = parseFrame(data);
      if (frame === null || ended) return;
      if (waiting !== null) ports.shown(waiting.seq);
      waiting = frame;
      void drain();
    },
    undo() {
      ended = true;
      // The socket may outlive this canvas, and sends no more while two are unacknowledged.
      if (waiting !== null) ports.shown(waiting.seq);
      waiting = null;
    },
  };
}
