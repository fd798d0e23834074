/** Files of a store over HTTP, whole or in parts. */

import { registry } from "zarrita";
import { decompress } from "fzstd";

class Zstd {
  readonly kind = "bytes_to_bytes" as const;

  static fromConfig(): Zstd {
    return new Zstd();
  }

  encode(): never {
    throw new Error("the page only reads");
  }

  decode(bytes: Uint8Array): Uint8Array {
    return decompress(bytes).slice(); // of its own buffer, from 0: zarrita's strings are read from there
  }
}
registry.set("zstd", () => Zstd as never);

type Range = { offset: number; length: number } | { suffixLength: number };
type Node = Record<string, unknown>;

/** A store of zarr format 3 behind a URL. Metadata that the root repeats are not asked for again. */
export class RemoteStore {
  readonly attributes: Record<string, any>;
  private readonly nodes: Record<string, Node>;
  private readonly whole = new Map<string, Promise<Uint8Array | undefined>>();

  private constructor(
    private readonly base: string,
    root: Record<string, any>,
  ) {
    this.attributes = root.attributes ?? {};
    this.nodes = root.consolidated_metadata?.metadata ?? {};
    const { weights } = this.nodes;
    if (weights?.data_type === "float16") {
      this.nodes.weights = { ...weights, data_type: "uint16", fill_value: 0 }; // not every browser has Float16Array
    }
  }

  static async open(url: string): Promise<RemoteStore> {
    const base = new URL(url.endsWith("/") ? url : `${url}/`, document.baseURI).href;
    const response = await fetch(`${base}zarr.json`);
    if (!response.ok) throw new Error(`no store at ${base}: ${response.status} ${response.statusText}`);
    return new RemoteStore(base, await response.json());
  }

  has(name: string): boolean {
    return name in this.nodes;
  }

  get consolidated(): boolean {
    return Object.keys(this.nodes).length > 0;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const name = key.replace(/^\//, "");
    const node = name.endsWith("/zarr.json") ? this.nodes[name.slice(0, -"/zarr.json".length)] : undefined;
    if (node) return new TextEncoder().encode(JSON.stringify(node));
    const response = await fetch(this.base + name);
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`${this.base + name}: ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  async getRange(key: string, range: Range): Promise<Uint8Array | undefined> {
    const known = this.whole.get(key);
    if (known) return part(await known, range);
    const name = key.replace(/^\//, "");
    if ("suffixLength" in range && new URL(this.base).origin !== location.origin) {
      // Browsers send ranges from the end to other sites after a question alone, which few servers answer.
      const size = await this.size(name);
      if (size >= range.suffixLength) {
        return this.getRange(key, { offset: size - range.suffixLength, length: range.suffixLength });
      }
    }
    const wanted = "suffixLength" in range ? `-${range.suffixLength}` : `${range.offset}-${range.offset + range.length - 1}`;
    const response = await fetch(this.base + name, { headers: { Range: `bytes=${wanted}` } });
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`${this.base + name}: ${response.status} ${response.statusText}`);
    if (response.status === 206) return new Uint8Array(await response.arrayBuffer());
    // A server without ranges sends the whole file; it is read once.
    const content = response.arrayBuffer().then((buffer) => new Uint8Array(buffer));
    this.whole.set(key, content);
    return part(await content, range);
  }

  /** Number of bytes of a file; 0 if the server does not say it. */
  private async size(name: string): Promise<number> {
    // The Hub signs the addresses that it redirects to for GET alone, and says the size beside a range.
    const byte = await fetch(this.base + name, { headers: { Range: "bytes=0-0" } });
    const size = byte.status === 206 ? Number(byte.headers.get("Content-Range")?.split("/")[1]) : 0;
    await byte.body?.cancel();
    if (size > 0) return size;
    const head = await fetch(this.base + name, { method: "HEAD" });
    return head.ok ? Number(head.headers.get("Content-Length") ?? 0) : 0;
  }
}

function part(content: Uint8Array | undefined, range: Range): Uint8Array | undefined {
  if (!content) return undefined;
  return "suffixLength" in range
    ? content.slice(content.length - range.suffixLength)
    : content.slice(range.offset, range.offset + range.length);
}
