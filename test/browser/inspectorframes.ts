/** Frames of the page while four jobs work, and the graph, the jobs and the cluster map are seen. */
import type { Page } from 'playwright-core';
import type { QsdInspector } from '../../src/ui/inspector/element';

export interface Frames {
  /** A second. */
  frames: number;
  /** Milliseconds; tasks below 50 are not told by browsers. */
  longestTask: number;
}

/** Starts four backups in a page that shows the inspector, moves about in the map, and counts. */
export async function measureFrames(page: Page): Promise<Frames> {
  await page.evaluate(async () => {
    const element = document.querySelector<QsdInspector>('qsd-inspector');
    const client = element?.client;
    if (!client) throw new Error('no inspector');
    const io = {
      stdout: () => undefined,
      stderr: () => undefined,
      progress: () => undefined,
      readLine: async () => null,
    };
    for (const name of ['a', 'b', 'c', 'd']) {
      for (const file of [name, `${name}-copy`]) {
        await client.runShell(`qemu-img create -q -f qcow2 ${file}.qcow2 256M`, io);
        if (file === name) await client.runShell(`qemu-io -c "write 0 64M" ${file}.qcow2`, io);
        await client.execute('blockdev-add', {
          driver: 'qcow2',
          'node-name': file,
          file: { driver: 'file', filename: `${file}.qcow2` },
        });
      }
      await client.execute('blockdev-backup', {
        'job-id': `job-${name}`,
        device: name,
        target: `${name}-copy`,
        sync: 'full',
        speed: 4 << 20,
      });
    }
    const jobs = await client.execute('query-jobs');
    if (jobs.return?.length !== 4) throw new Error('no four jobs');
    await element.inspect({ node: 'a-copy' });
  });
  const inspector = page.locator('qsd-inspector');
  await inspector.getByRole('tab', { name: 'Map', exact: true }).click();
  await inspector.locator('.map[data-known]').waitFor();
  await inspector.getByRole('slider').focus();
  const counting = page.evaluate(async () => {
    let longestTask = 0;
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longestTask = Math.max(longestTask, duration);
    });
    observer.observe({ type: 'longtask' });
    const begun = performance.now();
    let count = 0;
    while (performance.now() - begun < 3000) {
      await new Promise((done) => requestAnimationFrame(done));
      count++;
    }
    observer.disconnect();
    return { frames: (count * 1000) / (performance.now() - begun), longestTask };
  });
  for (let round = 0; round < 12; round++)
    for (const key of ['ArrowDown', 'ArrowRight', '-', '+']) await page.keyboard.press(key);
  return counting;
}
