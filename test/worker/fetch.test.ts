import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchFile } from '../../src/worker/fetch';

const CONTENT = Buffer.alloc(100_000, 7);
let server: Server;
let origin: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/named')
      response.setHeader('content-disposition', "attachment; filename*=UTF-8''my%20disk.qcow2");
    response.writeHead(200, { 'content-length': CONTENT.length }).end(CONTENT);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const signal = new AbortController().signal;

test('a file has the name that its host gives it, else that of its address', async () => {
  expect((await fetchFile(`${origin}/named`, Infinity, signal)).name).toBe('my disk.qcow2');
  expect((await fetchFile(`${origin}/a/b%20c.img?x#y`, Infinity, signal)).name).toBe('b c.img');
});

test('its bytes come as they are', async () => {
  const { source } = await fetchFile(`${origin}/disk`, CONTENT.length, signal);
  expect(source.size).toBe(CONTENT.length);
  const parts: Uint8Array[] = [];
  for await (const part of source.pieces()) parts.push(part);
  expect(Buffer.concat(parts).equals(CONTENT)).toBe(true);
});

test('one that has no room is not begun', async () => {
  await expect(fetchFile(`${origin}/disk`, CONTENT.length - 1, signal)).rejects.toThrow(
    'It has 100000 bytes, and there is room for 99999',
  );
});

test('Ctrl-C ends it', async () => {
  const stop = new AbortController();
  const { source } = await fetchFile(`${origin}/disk`, Infinity, stop.signal);
  stop.abort();
  await expect(source.pieces()[Symbol.asyncIterator]().next()).rejects.toThrow('Operation canceled');
});
