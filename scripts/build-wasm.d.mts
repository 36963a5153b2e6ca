/** Compiles the data plane if it is not up to date; answers whether it did. Rejects with the compiler's report. */
export function buildWasm(): Promise<boolean>;
