// Runs a WASI program with this process's standard input and output: node --no-warnings tests/wasi_run.mjs PROGRAM (MLXCC_RUNNER for wasm).
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const wasi = new WASI({ version: "preview1", args: [process.argv[2]], returnOnExit: true });
const instance = await WebAssembly.instantiate(await WebAssembly.compile(readFileSync(process.argv[2])), wasi.getImportObject());
process.exit(wasi.start(instance));
