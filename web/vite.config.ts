/**
 * Builds the page that the daemon carries inside itself.
 *
 * The daemon forbids inline scripts, inline styles and foreign hosts, so nothing may be inlined, and
 * names carry a hash so that a browser may keep them for ever.
 */
import { defineConfig } from "vitest/config";
import { compress } from "./build/compress";
import { limitWeight } from "./build/weight";

export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  // Weighed before its copies lie beside it.
  plugins: [limitWeight(), compress()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    // One script and one style: there is nothing to preload, and the polyfill would only weigh.
    modulePreload: false,
  },
  server: {
    // `npm run dev` beside a daemon on its usual address; its certificate is its own.
    proxy: { "/api": { target: "https://127.0.0.1:8443", secure: false, ws: true } },
  },
  test: { include: ["{build,src}/**/*.test.ts"] },
});
