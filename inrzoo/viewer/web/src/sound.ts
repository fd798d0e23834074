/** Plays values of sounds. */

let context: AudioContext | null = null;
let playing: AudioBufferSourceNode | null = null;

/** Play samples from -1 to 1; a sound that plays already ends. */
export function play(samples: Float32Array<ArrayBuffer>, rate: number, repeat: boolean): void {
  context ??= new AudioContext();
  stop();
  const buffer = context.createBuffer(1, samples.length, Math.min(384000, Math.max(3000, rate)));
  buffer.copyToChannel(samples, 0);
  playing = context.createBufferSource();
  playing.buffer = buffer;
  playing.loop = repeat;
  playing.connect(context.destination);
  void context.resume();
  playing.start();
}

export function stop(): void {
  playing?.stop();
  playing = null;
}

/** Samples from -1 to 1 of values on a range. */
export function samples(values: ArrayLike<number>, [low, high]: [number, number]): Float32Array<ArrayBuffer> {
  return Float32Array.from(values, (value) => Math.min(1, Math.max(-1, (2 * (value - low)) / (high - low) - 1)));
}
