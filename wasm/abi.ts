/**
 * Constants and record layouts that both sides of the WASM border use: AssemblyScript imports this file, and so does
 * src/engine. Only `const enum` and plain constants may stand here.
 */
