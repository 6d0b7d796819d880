/**
 * Keeps the page light: a build whose first load is over the limit fails.
 *
 * The page comes from a small device over networks that are chosen by somebody else's emergency.
 * All that is built is counted, since the page has nothing that is loaded later; and it is counted
 * before anything is written, so that a build that fails leaves nothing that looks built.
 */
import type { Plugin } from "vite";

/** Bytes after gzip. */
export const LIMIT = 60_000;

export type File = { name: string; content: string | Uint8Array };

export async function weigh(files: readonly File[]): Promise<number> {
  const sizes = files.map(async ({ content }) => {
    const bytes = typeof content === "string" ? content : new Uint8Array(content);
    const squeezed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
    return (await new Response(squeezed).arrayBuffer()).byteLength;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** What is wrong with a page of this weight; null when nothing is. */
export function tooHeavy(bytes: number): string | null {
  if (bytes <= LIMIT) return null;
  return `the page weighs ${bytes} bytes after gzip, and may weigh ${LIMIT}`;
}

export function limitWeight(): Plugin {
  return {
    name: "weight",
    apply: "build",
    generateBundle: {
      // After those who still add a style or the page itself.
      order: "post",
      async handler(_, bundle) {
        const files = Object.values(bundle).map((output): File => {
          const content = output.type === "chunk" ? output.code : output.source;
          return { name: output.fileName, content };
        });
        const bytes = await weigh(files);
        const fault = tooHeavy(bytes);
        if (fault !== null) this.error(fault);
        this.info(
          `${bytes} bytes after gzip of ${LIMIT}: ${files.map(({ name }) => name).join(" ")}`,
        );
      },
    },
  };
}
