// Writes gallery.js and gallery.css into the folder named on the command line, by default ../static, which has the page.
import { build } from "esbuild";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "static");
await mkdir(out, { recursive: true });
const absent = join(here, "src", "absent_codec.ts");
await build({
  absWorkingDir: here,
  entryPoints: { gallery: "src/main.ts" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "eof",
  // Stores are compressed by zstd, which fzstd reads in a thirtieth of the bytes of a WebAssembly module.
  alias: { "numcodecs/blosc": absent, "numcodecs/lz4": absent, "numcodecs/zstd": absent },
});
