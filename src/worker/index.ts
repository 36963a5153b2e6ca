/** The module that runs in the dedicated worker. */
import { expose } from 'comlink';
import engineUrl from '../../build/engine.wasm?url';
import { Sandbox } from './sandbox';

expose(new Sandbox(compile(engineUrl)));

/** Compiles while the bytes come in, where the server names their type. */
async function compile(url: string): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  const typed = response.headers.get('content-type')?.startsWith('application/wasm') ?? false;
  return typed ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}
