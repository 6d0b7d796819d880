/**
 * Puts a brotli and a gzip copy next to each text that is built, for the daemon to send.
 *
 * It is done once and here, as hard as can be, so that the small device compresses nothing.
 */
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const TEXT = /\.(css|html|js|json|svg|txt|webmanifest)$/;

type Copy = { suffix: ".br" | ".gz"; bytes: Uint8Array };

/** The copies of a file that are worth sending in its place: for a picture, or a few bytes, none. */
export function copies(name: string, content: string | Uint8Array): Copy[] {
  if (!TEXT.test(name)) return [];
  const bytes = Buffer.from(content);
  const params = {
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const all: Copy[] = [
    { suffix: ".br", bytes: brotliCompressSync(bytes, { params }) },
    { suffix: ".gz", bytes: gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }) },
  ];
  return all.filter((copy) => copy.bytes.length < bytes.length);
}

/** What of a file travels to a browser. */
export function sent(name: string, content: string | Uint8Array): number {
  const sizes = copies(name, content).map(({ bytes }) => bytes.length);
  return Math.min(Buffer.byteLength(content), ...sizes);
}

export function compress(): Plugin {
  return {
    name: "compress",
    apply: "build",
    generateBundle: {
      // After those who still add a style or the page itself.
      order: "post",
      handler(_, bundle) {
        for (const output of Object.values(bundle)) {
          const content = output.type === "chunk" ? output.code : output.source;
          for (const { suffix, bytes } of copies(output.fileName, content)) {
            this.emitFile({ type: "asset", fileName: output.fileName + suffix, source: bytes });
          }
        }
      },
    },
  };
}
