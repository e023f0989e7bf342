// @ts-check
/**
 * LiteRT in WebAssembly, called directly: its public JavaScript interface refuses int8 tensors.
 *
 * The names are those of @litertjs/core's `litert_wasm_compat_internal.js`, one thread.
 */

/** @typedef {any} Module  what Emscripten's glue makes; it has no types */

const CPU = { accelerator: "wasm", cpuOptions: { numThreads: 1 }, gpuOptions: {}, webNNOptions: {} };

export class Runtime {
  /** @param {Module} module */
  constructor(module) {
    this.module = module;
    this.environment = module.LiteRtEnvironment.create(null);
  }

  /**
   * @param {(options: object) => Promise<Module>} factory  the default export of litert.js
   * @param {Uint8Array} wasmBinary
   */
  static async open(factory, wasmBinary) {
    const silent = () => {};
    return new Runtime(await factory({ wasmBinary, print: silent, printErr: silent }));
  }

  /**
   * @param {Uint8Array} bytes  of a TFLite file with one input
   * @returns {Promise<Model>}
   */
  async load(bytes) {
    const { module, environment } = this;
    const at = module._malloc(bytes.length); // kept: the model reads its weights there
    module.HEAPU8.set(bytes, at);
    const model = module.loadModel(environment, at, bytes.length);
    const options = { ...CPU, environment: { liteRtEnvironment: environment } };
    const compiled = await module.compileModel(environment, model, options);
    return new Model(module, compiled, this.#input(model));
  }

  /** @param {any} model */
  #input(model) {
    const { LiteRtTensorBuffer: Buffer, LiteRtTensorBufferType: Kind } = this.module;
    const type = model.getInputTensorType(0, 0);
    const input = Buffer.createManaged(this.environment, Kind.HOST_MEMORY, type, type.bytes());
    type.delete();
    return input;
  }
}

export class Model {
  /**
   * @param {Module} module
   * @param {any} compiled
   * @param {any} input
   */
  constructor(module, compiled, input) {
    this.module = module;
    this.compiled = compiled;
    this.input = input;
  }

  /**
   * @param {Int8Array | Float32Array} values  of the model's own input type
   * @returns {Promise<Uint8Array[]>}  the bytes of each output
   */
  async run(values) {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (bytes.length !== this.input.packedSize()) {
      throw new RangeError(`the model takes ${this.input.packedSize()} bytes, got ${bytes.length}`);
    }
    this.#open(this.input, "WRITE", (at) => this.module.HEAPU8.set(bytes, at));
    /** @type {any[]} */
    const outputs = await this.compiled.run(0, [this.input]);
    return outputs.map((output) => {
      const size = output.packedSize();
      const copy = this.#open(output, "READ", (at) => this.module.HEAPU8.slice(at, at + size));
      output.delete();
      return copy;
    });
  }

  /**
   * @template T
   * @param {any} buffer
   * @param {"READ" | "WRITE"} mode
   * @param {(at: number) => T} use  is given the place in the module's memory
   * @returns {T}
   */
  #open(buffer, mode, use) {
    const at = buffer.lock(this.module.LiteRtTensorBufferLockMode[mode]);
    try {
      return use(at);
    } finally {
      buffer.unlock();
    }
  }
}
