/** Stands for codecs that this page does not carry. */
export default class AbsentCodec {
  static fromConfig(): never {
    throw new Error("the store is compressed by a codec that this page does not read; it reads zstd and gzip");
  }
}
